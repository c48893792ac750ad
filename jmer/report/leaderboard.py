"""One page of methods × data sets: honest scores first, what they rest on beside."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from jmer.report.methods import Tried, in_order, twice
from jmer.report.render.blocks import (
    Board,
    BoardCell,
    Page,
    Paragraph,
    Section,
    Table,
)
from jmer.report.words import words
from jmer.runs.apart import KEPT, LABELS, LISTS, PROTOCOL, SELECTION, UNFAIR, apart
from jmer.runs.folder import REPORT
from jmer.runs.run import Run
from jmer.scores.recognition import band
from jmer.text import banded, counted, points, visible

DISAGREE = (LABELS, PROTOCOL, LISTS, KEPT, SELECTION, "seeds")
"""In what runs of one set may differ, and the page says so; inputs are a network's."""


@dataclass(frozen=True)
class LeftOut:
    """A folder that is not on the board, and why."""

    folder: Path
    why: str


@dataclass(frozen=True, eq=False)
class Entry:
    """A run on the board."""

    tried: Tried
    audit: str
    """What an audit said, in a word or two."""

    @property
    def method(self) -> str:
        return self.tried.method

    @property
    def run(self) -> Run:
        return self.tried.run


def board_page(
    title: str,
    entries: Sequence[Entry],
    left_out: Sequence[LeftOut],
    score: str,
    out: Path,
) -> Page:
    """The board of one score, which links to the reports of its runs from the folder of
    `out`; all scores of all runs follow.

    Raises: JmerError if a method has two runs on a set.
    """
    columns = _columns(entries)
    kind = entries[0].run.kind
    label = kind.label_of_score(score)
    methods = _ranked(entries, columns, score)
    rows = tuple(
        (name, tuple(_cell(own.get(name), score, out) for own in columns.values()))
        for name in methods
    )
    heads = tuple((name, _tested(own.values())) for name, own in columns.items())
    sets = counted(len(columns), "data set")
    oracle = ""
    if any(one.run.metrics["oracle"] for one in entries):
        oracle = (
            "The oracle below is no result: its epoch was chosen on the test subject. "
        )
    return Page(
        title,
        f"{counted(len(methods), 'method')} on {sets}, by {label}.",
        (
            *_warnings(entries, left_out, columns),
            Board(f"{label} of each method on each set", heads, rows),
            Paragraph(
                f"Large: {label} of the predictions of all folds, pooled, mean over "
                f"seeds; in brackets the 95\N{NO-BREAK SPACE}% interval over subjects. "
                f"{oracle}Rows are in the order of the first set; a click on a set "
                f"sorts them by it. A score leads to the report of its run. Device "
                f"seconds are those of training and testing, times the devices that "
                f"took part."
            ),
        ),
        (
            Section("All scores", (_scores(methods, columns),)),
            Section("How they were made", (_made(methods, columns),)),
            *_parts(entries),
            Section("Where they come from", (_sources(entries),)),
            words(kind, comparison=True),
        ),
    )


Columns = Mapping[str, Mapping[str, Entry]]
"""The run of each method on each set."""


def _columns(entries: Sequence[Entry]) -> Columns:
    """By the data set of runs, those with most methods first."""
    groups: list[list[Entry]] = []
    for one in entries:
        near = [g for g in groups if any(_on_one_set(one, other) for other in g)]
        at = groups.index(near[0]) if near else len(groups)
        rest = [g for g in groups if g not in near]
        groups = [*rest[:at], [*(e for g in near for e in g), one], *rest[at:]]
    found: dict[tuple[str, ...], dict[str, Entry]] = {}
    for group in groups:
        key = tuple(sorted({name for one in group for name in _sets(one)}))
        own = found.setdefault(key, {})
        for one in group:
            if before := own.get(one.method):
                raise twice(before.tried, one.tried, " + ".join(key))
            own[one.method] = one
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    titles = [_title(key, [e.run for e in own.values()]) for key, own in ordered]
    unique = [
        title if titles.count(title) == 1 else " + ".join(key)
        for title, (key, _) in zip(titles, ordered, strict=True)
    ]
    return dict(zip(unique, (own for _, own in ordered), strict=True))


def _sets(entry: Entry) -> set[str]:
    """The sets that predictions are of."""
    return {*np.unique(entry.run.shown.dataset).tolist()}


def _on_one_set(one: Entry, other: Entry) -> bool:
    """Whether two runs are of one data set: of all of it or of some of its sets."""
    both = _sets(one), _sets(other)
    names = {str(entry.run.experiment["data"]["name"]) for entry in (one, other)}
    return both[0] == both[1] or (len(names) == 1 and bool(both[0] & both[1]))


def _title(sets: Sequence[str], runs: Sequence[Run]) -> str:
    names = {str(run.experiment["data"]["name"]) for run in runs}
    return names.pop() if len(names) == 1 else " + ".join(sets)


def _ranked(entries: Sequence[Entry], columns: Columns, score: str) -> list[str]:
    """Methods by their scores on the first set, then on the next."""

    def place(method: str) -> list[float]:
        found = (own.get(method) for own in columns.values())
        return [-(e.run.metrics.get(score) or 0.0) if e else 1.0 for e in found]

    return sorted(in_order([one.tried for one in entries]), key=place)


def _cell(entry: Entry | None, score: str, out: Path) -> BoardCell | None:
    if entry is None:
        return None
    found = entry.run.metrics
    cost = f"{device_seconds(entry.run):,.0f} device s"
    kind = str(entry.run.experiment["device"]["kind"])
    marks = [f"{cost} ({visible(kind)})", entry.audit]
    marks += ["subjects mixed"] * _mixed(entry.run)
    marks += ["small size"] * _small(entry.run)
    marks += ["not all seeds or folds"] * _lacks(entry.run)
    return BoardCell(
        value=found.get(score),
        band=band(found, score),
        oracle=(found["oracle"] or {}).get(score),
        notes=tuple(marks),
        link=_link(entry.run.folder / f"{REPORT}.html", out),
    )


def device_seconds(run: Run) -> float:
    """What training and testing took, times the devices that it was laid out on."""
    plan = run.experiment.get("plan")
    layout = plan.get("layout") if isinstance(plan, dict) else None
    devices = layout.get("devices", 1) if isinstance(layout, dict) else 1
    return float(run.metrics["wall_seconds"]) * (
        devices if isinstance(devices, int) else 1
    )


def _small(run: Run) -> bool:
    return run.experiment["experiment"].get("small") is True


def _link(report: Path, out: Path) -> str | None:
    """The address of a report from the page, None where there is none."""
    if not report.is_file():
        return None
    try:
        place = os.path.relpath(report.absolute(), out.absolute().parent)
    except ValueError:  # on another drive
        return report.absolute().as_uri()
    return quote(Path(place).as_posix())


def _warnings(
    entries: Sequence[Entry], left_out: Sequence[LeftOut], columns: Columns
) -> Iterator[Paragraph]:
    for one in left_out:
        yield Paragraph(f"Left out: {one.folder}. {one.why}", "warning")
    for name, own in columns.items():
        yield from _disagreement(name, list(own.values()))
    for what, which in (
        ("are small sizes (--small), and no results", _small),
        ("mix subjects: known people are recognised, too", _mixed),
        ("lack seeds or folds, which diverged or are not done", _lacks),
    ):
        if folders := [str(e.run.folder) for e in entries if which(e.run)]:
            yield Paragraph(f"Runs that {what}: {', '.join(folders)}.", "warning")


def _mixed(run: Run) -> bool:
    return not run.metrics["subject_independent"]


def _lacks(run: Run) -> bool:
    return bool(run.unscored or run.metrics["diverged"])


def _disagreement(name: str, own: Sequence[Entry]) -> Iterator[Paragraph]:
    """In what the runs on one set differ that their scores rest on."""
    told = [one for one in apart([e.run for e in own]) if one.what in DISAGREE]
    for found in told:
        each = "; ".join(
            f"{e.method} {value}" for e, value in zip(own, found.values, strict=True)
        )
        why = UNFAIR.get(found.what)
        end = f" These scores do not rank the methods: {why}." if why else ""
        yield Paragraph(
            f"On {name}, runs differ in {found.what}: {each}.{end}",
            "warning" if why else "plain",
        )
    clips = [{*e.run.shown.names} for e in own]
    if any(one != clips[0] for one in clips):
        each = "; ".join(
            f"{e.method} {len(c)}" for e, c in zip(own, clips, strict=True)
        )
        yield Paragraph(
            f"On {name}, runs were tested on other clips: {each}. These scores do not "
            f"rank the methods.",
            "warning",
        )


def _scores(methods: Sequence[str], columns: Columns) -> Table:
    known = next(_each(methods, columns))[1].run.kind.reported
    labels = [metric.label for metric in known.values()]
    rows = tuple(
        (
            *(e.method, name),
            *(banded(e.run.metrics.get(n), band(e.run.metrics, n)) for n in known),
            *(points((e.run.metrics["oracle"] or {}).get(n)) for n in known),
        )
        for name, e in _each(methods, columns)
    )
    names = (
        *(f"{label} [95 %]" for label in labels),
        *(f"Oracle {label} (inflated)" for label in labels),
    )
    return Table(("Method", "Data set", *names), rows, left=2, cards=True)


def _made(methods: Sequence[str], columns: Columns) -> Table:
    rows = tuple(
        (
            *(e.method, name, str(e.run.metrics["protocol"])),
            *(str(e.run.metrics["selection"]), e.audit),
            ", ".join(map(str, e.run.metrics["seeds"])),
            *(str(e.run.metrics[n]) for n in ("n_samples", "n_subjects")),
            f"{device_seconds(e.run):.1f}",
        )
        for name, e in _each(methods, columns)
    )
    names = ("Method", "Data set", "Protocol", "Selection", "Audit", "Seeds")
    numbers = ("Clips", "Subjects", "Device s")
    return Table((*names, *numbers), rows, left=6, cards=True)


def _each(methods: Sequence[str], columns: Columns) -> Iterator[tuple[str, Entry]]:
    """The runs set by set, in the order of the board."""
    for name, own in columns.items():
        yield from ((name, own[method]) for method in methods if method in own)


def _tested(own: Iterable[Entry]) -> str:
    """How the runs on a set are tested."""
    return "; ".join(dict.fromkeys(str(e.run.metrics["protocol"]) for e in own))


def _parts(entries: Sequence[Entry]) -> Iterator[Section]:
    """The sets of composites, each by itself."""
    known = entries[0].run.kind.reported
    rows = tuple(
        (
            *(one.method, name, str(own["n_subjects"]), str(own["n_samples"])),
            *(banded(own.get(score), band(own, score)) for score in known),
        )
        for one in entries
        for name, own in one.run.metrics["per_dataset"].items()
        if len(one.run.metrics["per_dataset"]) > 1
    )
    if rows:
        columns = ("Method", "Data set", "Subjects", "Clips")
        labels = (f"{metric.label} [95 %]" for metric in known.values())
        table = Table((*columns, *labels), rows, left=2, cards=True)
        yield Section("Each set of a composite", (table,))


def _sources(entries: Sequence[Entry]) -> Table:
    rows = tuple(
        (
            *(one.method, str(one.run.folder), str(one.run.experiment["command"])),
            ", ".join(map(str, one.run.metrics["seeds"])),
            "{count} × {kind}".format(**one.run.experiment["device"]),
            str(one.run.experiment["revision"] or "unknown"),
        )
        for one in entries
    )
    columns = ("Method", "Folder", "Command", "Seeds", "Device", "Revision")
    return Table(columns, rows, left=6, cards=True)
