"""A paper's table with our figures beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jmer.files import read_json
from jmer.papers import PaperTable, Row
from jmer.report.blocks import Block, Code, Page, Paragraph, Section, Table
from jmer.report.run import Run, band, read_run
from jmer.text import counted

NAMES = {"acc": "ACC", "uf1": "UF1", "uar": "UAR", "auc": "AUC of frames"}
OVER_FOLDS = {"acc": "acc", "uf1": "f1", "uar": "recall"}


@dataclass(frozen=True)
class Match:
    """A row of a table, and a run of it; None if there is none."""

    row: Row
    run: Run | None = None
    same_data: bool = True


def matches(
    table: PaperTable, runs: Sequence[Run], *, other_data: bool = False
) -> list[Match]:
    """Each row with every run that is it; with `other_data`, on whatever data."""
    found: list[Match] = []
    for row in table.rows:
        ours = []
        for run in runs if row.switches is not None else ():
            same = is_row(run, table.wanted(row))
            if same or (other_data and is_row(run, table.wanted(row, other_data=True))):
                ours.append(Match(row, run, same))
        found += ours or [Match(row)]
    return found


def is_row(run: Run, wanted: Mapping[str, Any]) -> bool:
    """Whether a run's experiment, with its first variant, has these fields."""
    missing = object()
    fields = _fields(run)
    return all(fields.get(name, missing) == _plain(v) for name, v in wanted.items())


def _fields(run: Run) -> dict[str, Any]:
    """All fields by dotted name, as its figure was made."""
    found = {
        f"{part}.{name}": value
        for part, inner in run.experiment["experiment"].items()
        if isinstance(inner, dict)
        for name, value in inner.items()
    }
    values = [v["values"] for v in run.metrics.get("variants", ())]
    return found | (values[0] if values else {})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def reproduction_page(
    table: PaperTable, folders: Sequence[Path], *, other_data: bool = False
) -> Page:
    """The table, with the runs in these folders beside its rows.

    Raises: JmerError if one is no finished run.
    """
    runs = [read_run(folder) for folder in folders]
    found = matches(table, runs, other_data=other_data)
    columns = ["Row", "Data", "Run", "Our protocol", "Epoch"]
    for metric in table.metrics:
        columns += [f"{NAMES[metric]}, paper", f"{NAMES[metric]}, ours [95 %]"]
    columns += ["Subjects", "Clips", "Seeds"]
    rows = tuple(_cells(table, one) for one in found)
    lead = (Paragraph(_about(table)), *_warnings(table, found, runs))
    sections = (
        Section("Paper and ours", (Table(tuple(columns), rows, left=5, cards=True),)),
        Section(
            "How to run it",
            (Code("\n".join(f"jmer run {path}" for path in table.paths)),),
        ),
    )
    matched = len({id(one.row) for one in found if one.run})
    possible = sum(row.switches is not None for row in table.rows)
    subtitle = f"{table.paper} · {matched} of {counted(possible, 'row')} run"
    return Page(table.title, subtitle, lead, sections)


def _about(table: PaperTable) -> str:
    taken = {
        "pooled": "its figures are of all folds pooled",
        "mean over folds": "its figures are means over folds",
        "one division": "its figures are of one division",
        "unknown": "what its figures are taken over is unknown",
    }[table.pooling]
    return (
        f"The paper: {table.protocol}; {taken}. Ours pool all folds, then average the "
        f"seeds; the epoch is never chosen on the test clips. {table.note}"
    ).strip()


def _warnings(
    table: PaperTable, found: Sequence[Match], runs: Sequence[Run]
) -> Iterable[Block]:
    if not table.independent:
        yield Paragraph(
            "The paper's figures are not subject-independent, or not known to be: the "
            "same people may be in training and test.",
            "warning",
        )
    matched = [(one.run, one.same_data) for one in found if one.run]
    mixed = _names(run for run, _ in matched if not run.metrics["subject_independent"])
    if mixed:
        yield Paragraph(
            f"Runs that train and test on the same people: {', '.join(mixed)}.",
            "warning",
        )
    other = _names(run for run, same_data in matched if not same_data)
    if other:
        yield Paragraph(
            f"Runs on other data than the paper's, so that their figures do not "
            f"compare with its: {', '.join(other)}.",
            "warning",
        )
    used = {id(run) for run, _ in matched}
    unused = _names(run for run in runs if id(run) not in used)
    if unused:
        yield Paragraph(
            f"Runs that are no row of this table, by their network, switches, data set "
            f"or classes: {', '.join(unused)}."
        )
    if any(len(run.metrics.get("variants", ())) > 1 for run, _ in matched):
        yield Paragraph("Of a run with several variants, the first counts.", "small")


def _names(runs: Iterable[Run]) -> list[str]:
    return list(dict.fromkeys(str(run.folder) for run in runs))


def _cells(table: PaperTable, one: Match) -> tuple[str, ...]:
    row, run = one.row, one.run
    if run is None:
        status = "not run" if row.switches is not None else "another method"
        head, tail = (row.name, row.data, status, "–", "–"), ("–", "–", "–")
        return (*head, *_figures(table, row, lambda metric: "–"), *tail)
    found = run.metrics
    data = row.data
    if not one.same_data:
        data = f"{run.experiment['data']['name']}, not {row.data}"
    mixed = "" if found["subject_independent"] else " (subjects mixed)"
    return (
        *(row.name, data, str(run.folder)),
        *(found["protocol"] + mixed, found["selection"]),
        *_figures(table, row, lambda metric: _ours(table, run, metric)),
        *(str(found["n_subjects"]), str(found["n_samples"]), str(len(found["seeds"]))),
    )


def _figures(table: PaperTable, row: Row, ours) -> Iterable[str]:
    for metric in table.metrics:
        printed = row.figures.get(metric)
        yield "–" if printed is None else f"{printed / 100:.4g}"
        yield "–" if printed is None else ours(metric)


def _ours(table: PaperTable, run: Run, metric: str) -> str:
    if metric == "auc":
        file = run.folder / "spotting" / "spotting.json"
        return f"{read_json(file)['auc']:.4f}" if file.is_file() else "not spotted"
    text = f"{run.metrics[metric]:.4f}"
    if ends := band(run, metric):
        text += f" [{ends[0]:.3f},\N{NO-BREAK SPACE}{ends[1]:.3f}]"
    mean = run.metrics.get("fold_mean")
    if table.pooling == "mean over folds" and mean:
        text += f" (mean over folds {mean[OVER_FOLDS[metric]]:.4f})"
    return text
