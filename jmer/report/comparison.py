"""What a report says of several runs side by side, as blocks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from jmer.errors import JmerError
from jmer.report.against import Against, paired_section
from jmer.report.apart import apart_section, unfair_warnings
from jmer.report.curves import curves_section
from jmer.report.render.blocks import Gauge, Gauges, Page, Paragraph, Section, Table
from jmer.report.words import words
from jmer.runs.run import Run
from jmer.scores.labels import UNITS, LabelKind
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import band
from jmer.text import banded, counted, duration, points

SCORES = "Scores"


def run_names(runs: Sequence[Run]) -> list[str]:
    """Experiment names, with the folder where two runs share one."""
    times = Counter(run.experiment["name"] for run in runs)
    return [
        f"{run.experiment['name']} ({run.folder})"
        if times[run.experiment["name"]] > 1
        else run.experiment["name"]
        for run in runs
    ]


def _comparison_row(name: str, run: Run) -> tuple[str, ...]:
    found, kind = run.metrics, run.kind
    mixed = "" if found["subject_independent"] else " (subjects mixed)"
    return (
        *(name, found["protocol"] + mixed, found["selection"], found["batches"] or "–"),
        *(str(len(found["seeds"])), str(found["n_samples"])),
        *(points(found.get(m.name)) for m in kind.metrics.values() if not m.headline),
        *(banded(found.get(m.name), band(found, m.name)) for m in kind.headlines),
        points((found["oracle"] or {}).get(kind.headlines[0].name)),
        duration(found["wall_seconds"]),
    )


def _comparison_warnings(
    names: Sequence[str], runs: Sequence[Run]
) -> Iterable[Paragraph]:
    first = runs[0]
    alike = all(_clips(run.shown) == _clips(first.shown) for run in runs)
    if not alike:
        yield Paragraph(
            "These runs were not tested on the same clips with the same labels, so "
            "their scores do not rank the methods.",
            "warning",
        )
    for what, named in (
        (
            "train and test on the same people, and cannot be compared with the others",
            [n for n, r in zip(names, runs, strict=True) if not _apart(r)],
        ),
        (
            "exclude tasks that diverged; see their own reports",
            [n for n, r in zip(names, runs, strict=True) if r.metrics["diverged"]],
        ),
        (
            "are not finished, for seeds that were asked for have no score yet",
            [n for n, r in zip(names, runs, strict=True) if r.unscored],
        ),
    ):
        if named:
            yield Paragraph(f"Runs that {what}: {', '.join(named)}.", "warning")


def _left_out(unfinished: Sequence[Path]) -> Iterable[Paragraph]:
    if unfinished:
        named = ", ".join(map(str, unfinished))
        one = len(unfinished) == 1
        yield Paragraph(
            f"Left out, for {'it is' if one else 'they are'} not finished: {named}.",
            "warning",
        )


def _apart(run: Run) -> bool:
    return bool(run.metrics["subject_independent"])


def _clips(p: Predictions) -> set[tuple]:
    if p.kind is UNITS:
        p = p.in_order(sorted(p.classes))
    return set(zip(p.names, p.kind.texts(p.label, p.classes), strict=True))


def kind_of_all(runs: Sequence[Run]) -> LabelKind:
    """What the labels of all runs are. Raises: JmerError if they differ."""
    kinds = {run.kind: run for run in runs}
    if len(kinds) > 1:
        named = ", ".join(f"{run.folder} ({kind.name})" for kind, run in kinds.items())
        raise JmerError(
            f"runs with labels of two kinds have no score in common: {named}. Compare "
            f"those of one kind."
        )
    return runs[0].kind


def runs_table(names: Sequence[str], runs: Sequence[Run]) -> Table:
    """One row per run, in the order given."""
    kind = kind_of_all(runs)
    columns = (
        *("Experiment", "Protocol", "Selection", "Batches", "Seeds", "Clips"),
        *(m.label for m in kind.metrics.values() if not m.headline),
        *(f"{m.label} [95 %]" for m in kind.headlines),
        *(f"Oracle {kind.headlines[0].label} (inflated)", "Wall time"),
    )
    rows = tuple(_comparison_row(n, r) for n, r in zip(names, runs, strict=True))
    return Table(columns, rows, left=4, cards=True)


def comparison_page(
    names: Sequence[str],
    runs: Sequence[Run],
    against: Against,
    each: Sequence[tuple[str, Run]],
    unfinished: Sequence[Path] = (),
) -> Page:
    """The scores of the runs side by side, and how far they are from the first; `each`
    has what is compared, runs or all their variants. The `unfinished` are named alone.
    """
    first = kind_of_all(runs).headlines[0]
    lines = Gauges(
        tuple(
            Gauge(n, r.metrics[first.name], band(r.metrics, first.name))
            for n, r in each
            if first.name in r.metrics
        )
    )
    notes: tuple[Paragraph, ...] = (
        Paragraph(
            "Intervals come from drawing subjects again (bootstrap) within each run. "
            "Two runs on the same clips can differ reliably although their intervals "
            "overlap: the paired differences say so.",
            "small",
        ),
    )
    if any(run.metrics["oracle"] for run in runs):
        notes += (
            Paragraph(
                f"Oracle {first.label} is inflated: its epoch was chosen on the test "
                f"subject.",
                "small",
            ),
        )
    where = tuple(
        (
            n,
            str(r.folder),
            r.experiment["command"],
            str(r.experiment["data"]["fingerprint"]),
        )
        for n, r in zip(names, runs, strict=True)
    )
    sections = (
        *([apart_section(names, runs)] if len(runs) > 1 else []),
        Section(SCORES, (runs_table(names, runs), *notes)),
        Section(f"{first.label} on one scale", (lines,)),
        *([paired_section(each[0][0], against)] if len(each) > 1 else []),
        *curves_section(names, runs),
        Section(
            "Where they come from",
            (Table(("Experiment", "Folder", "Command", "Data"), where, 4, cards=True),),
        ),
        words(kind_of_all(runs), comparison=True),
    )
    title = f"Comparison of {counted(len(runs), 'run')}"
    subtitle = "Predictions of all folds are pooled, then scored; seeds are averaged."
    warnings = (
        *_left_out(unfinished),
        *unfair_warnings(runs),
        *_comparison_warnings(names, runs),
    )
    return Page(title, subtitle, warnings, sections)
