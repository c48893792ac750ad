"""A paper's table with our figures beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jmer.errors import option
from jmer.files import read_json
from jmer.files.shape import checked
from jmer.papers import PaperRow, PaperTable
from jmer.papers.table import Given, OneOf, Where
from jmer.report.render.blocks import Code, Page, PageBlock, Paragraph, Section, Table
from jmer.runs.folder import SPOTTED, SPOTTING
from jmer.runs.run import Run, read_run
from jmer.runs.shapes import SPOTTED_SHAPE
from jmer.scores.labels import every_metric
from jmer.scores.recognition import band
from jmer.scores.spotting import AUC
from jmer.text import banded, counted, points

Readings = Mapping[tuple[str, str], Mapping[str, Sequence[Any]]]
"""By row and data set, the values that fields of an experiment may have."""
MISSING = object()
MADE = ("Run", "Folder", "Protocol", "Epoch", "Subjects", "Clips", "Seeds")


@dataclass(frozen=True)
class Match:
    """A row of a table, and a run of it; None if there is none."""

    row: PaperRow
    run: Run | None = None
    same_data: bool = True
    differing: tuple[str, ...] = ()
    """In what the run is not as the paper states, in words: it is no reproduction."""


def matches(
    table: PaperTable,
    runs: Sequence[Run],
    *,
    other_data: bool = False,
    read: Readings | None = None,
) -> list[Match]:
    """Each row with every run that is it, or is but for what the paper states besides,
    or for how else it was `read`; with `other_data`, on whatever data."""
    found: list[Match] = []
    for row in table.rows:
        ours = []
        for run in runs if row.switches is not None else ():
            same = is_row(run, table.wanted(row))
            if same or (other_data and is_row(run, table.wanted(row, other_data=True))):
                stated = table.settings(row)
                known = {**stated, **table.wanted(row)}
                differing = [*differences(run, stated)]
                differing += _read_otherwise(
                    run, (read or {}).get((row.name, row.data), {}), known, same
                )
                ours.append(Match(row, run, same, tuple(differing)))
        found += ours
        if all(one.differing for one in ours):
            found.append(Match(row))
    return found


def differences(run: Run, stated: Mapping[str, Any]) -> Iterable[str]:
    """In what a run's experiment is not what a paper states, in words."""
    fields = fields_of(run)
    for name, value in stated.items():
        ours = fields.get(name, MISSING)
        if isinstance(value, Given):
            same = ours not in (None, MISSING)
        elif isinstance(value, OneOf):
            same = ours in map(_plain, value.values)
        elif isinstance(value, Where):
            same = ours in (MISSING, _plain(value.value))
        else:
            same = ours == _plain(value)
        if not same:
            yield f"{option(name)} {_word(ours)}, paper {_word(value)}"


def _read_otherwise(
    run: Run, read: Mapping[str, Sequence[Any]], known: Mapping[str, Any], same: bool
) -> Iterable[str]:
    """In what a run's experiment is not the paper as it was read, where the paper is
    silent; of other data, what those are is not asked."""
    fields = fields_of(run)
    for name, values in read.items():
        if name in known or name not in fields:
            continue  # stated; or of a version that had no such field
        if not same and name.startswith("data."):
            continue
        if fields[name] not in values:
            word = " or ".join(map(_word, values))
            yield f"{option(name)} {_word(fields[name])}, read as {word}"


def _word(value: Any) -> str:
    if value is MISSING:
        return "missing"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return str(value)


def is_row(run: Run, wanted: Mapping[str, Any]) -> bool:
    """Whether a run's experiment, with its first variant, has these fields."""
    fields = fields_of(run)
    return all(fields.get(name, MISSING) == _plain(v) for name, v in wanted.items())


def fields_of(run: Run) -> dict[str, Any]:
    """All fields by dotted name, as its figure was made."""
    found: dict[str, Any] = {}
    for part, value in run.experiment["experiment"].items():
        if isinstance(value, dict):
            found |= {f"{part}.{name}": inner for name, inner in value.items()}
        else:
            found[part] = value
    # What was meant by `auto` where it ran.
    found["dtype"] = run.experiment.get("identity", found).get("dtype")
    values = [v["values"] for v in run.metrics.get("variants", ())]
    return found | (values[0] if values else {})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def reproduction_page(
    table: PaperTable,
    folders: Sequence[Path],
    *,
    other_data: bool = False,
    read: Readings | None = None,
) -> Page:
    """The table, with the runs in these folders beside its rows; `read` as `matches`.

    Raises: JmerError if one is no finished run.
    """
    runs = [read_run(folder) for folder in folders]
    everything = matches(table, runs, other_data=other_data, read=read)
    found = [one for one in everything if not one.differing]
    ours = {str(one.run.folder): one.run for one in everything if one.run}
    numbers = {name: str(i) for i, name in enumerate(ours, start=1)}
    commands = "\n".join(f"jmer run {path}" for path in table.paths)
    sections = [
        Section("Paper and ours", (_beside(table, found, numbers),)),
        *_apart(table, everything, numbers),
        Section("How to run it", (Code(commands),)),
    ]
    if ours:
        made = tuple((numbers[name], *_made(run)) for name, run in ours.items())
        sections.insert(
            -1, Section("Our runs", (Table(MADE, made, left=4, cards=True),))
        )
    matched = len({id(one.row) for one in found if one.run})
    possible = sum(row.switches is not None for row in table.rows)
    subtitle = f"{table.paper} · {matched} of {counted(possible, 'row')} run"
    lead = (Paragraph(_about(table)), *_warnings(table, everything, runs))
    return Page(table.title, subtitle, lead, tuple(sections))


def _beside(
    table: PaperTable, found: Sequence[Match], numbers: Mapping[str, str]
) -> Table:
    """The paper's figures, and ours."""
    columns = ["Row", "Data", "Run"]
    for name in table.metrics:
        label = (AUC if name == AUC.name else every_metric()[name]).label
        columns += [f"{label}, paper", f"{label}, ours [95 %]"]
    rows = tuple(_figures(table, one, numbers) for one in found)
    return Table(tuple(columns), rows, left=3, cards=True)


def _apart(
    table: PaperTable, found: Sequence[Match], numbers: Mapping[str, str]
) -> Iterable[Section]:
    """Runs that are a row but for what the paper states besides."""
    apart = [one for one in found if one.differing]
    if not apart:
        return
    rows = {
        (numbers[str(one.run.folder)], one.row.name, "; ".join(one.differing)): None
        for one in apart
        if one.run is not None
    }
    yield Section(
        "Runs with other settings than the paper's",
        (
            Paragraph(
                "Of a row by their network and switches, and no reproduction of it. "
                "What a paper is silent on is read as its page in the documentation "
                "says.",
                "small",
            ),
            Table(("Run", "Row", "In what it differs"), tuple(rows), left=3),
            _beside(table, apart, numbers),
        ),
    )


def _about(table: PaperTable) -> str:
    taken = {
        "pooled": "its figures are of all folds pooled",
        "mean over folds": "its figures are means over folds",
        "one division": "its figures are of one division",
        "unknown": "what its figures are taken over is unknown",
    }[table.pooling]
    ours = "Ours pool all folds, then average the seeds"
    if table.pooling == "mean over folds":
        ours = "So are ours, and beside them those of all folds pooled"
    return (
        f"The paper: {table.protocol}; {taken}. {ours}; the epoch is never chosen on "
        f"the test clips. {table.note}"
    ).strip()


def _warnings(
    table: PaperTable, found: Sequence[Match], runs: Sequence[Run]
) -> Iterable[PageBlock]:
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


def _figures(
    table: PaperTable, one: Match, numbers: Mapping[str, str]
) -> tuple[str, ...]:
    """A row of the page: what is printed, and what we have."""
    row, run, data = one.row, one.run, one.row.data
    which = "another method" if row.switches is None else "not\N{NO-BREAK SPACE}run"
    if run is not None:
        which = numbers[str(run.folder)]
        if not one.same_data:
            data = f"{run.experiment['data']['name']}, not {data}"
    cells = [row.name, data, which]
    for metric in table.metrics:
        value = row.figures.get(metric)
        ours = "–" if value is None or run is None else _ours(table, run, metric)
        cells += [_printed(value), ours]
    return tuple(cells)


def _printed(value: float | None) -> str:
    """A figure of a paper in [0, 1], with the digits that it has in percent."""
    digits = len(str(value).partition(".")[2])
    return "–" if value is None else f"{value / 100:.{digits + 2}f}"


def _made(run: Run) -> tuple[str, ...]:
    """How a run was made."""
    found = run.metrics
    mixed = "" if found["subject_independent"] else " (subjects mixed)"
    return (
        *(str(run.folder), found["protocol"] + mixed, found["selection"]),
        *(str(found["n_subjects"]), str(found["n_samples"]), str(len(found["seeds"]))),
    )


def _ours(table: PaperTable, run: Run, name: str) -> str:
    if name == AUC.name:
        file = run.folder / SPOTTING / SPOTTED
        if not file.is_file():
            return "not spotted"
        return points(checked(read_json(file), SPOTTED_SHAPE, file)[name])
    text = banded(run.metrics.get(name), band(run.metrics, name))
    mean = run.metrics.get("fold_mean", {}).get(every_metric()[name].over_folds)
    if table.pooling == "mean over folds" and mean is not None:
        return f"{points(mean)} over folds; pooled {text}"
    return text
