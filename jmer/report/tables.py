"""The scores of runs as tables for other programs and for papers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jmer.files.cells import csv_text
from jmer.report.against import Against, RunDifference
from jmer.report.render.blocks import Table
from jmer.runs.run import Run
from jmer.scores.recognition import band
from jmer.text import banded

ALL, DATASET, CLASS = "all", "data set", "class"


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one choice of epoch, on all clips or on those of one data set."""

    part: str
    """`all` or `data set`."""
    name: str
    selection: str
    """How the epoch was chosen."""
    found: dict[str, Any]


def score_rows(run: Run) -> Iterator[ScoreRow]:
    """All clips, then each data set: the honest scores, then the oracle's."""
    for selection, found in (
        (run.metrics["selection"], run.metrics),
        ("oracle (inflated)", run.metrics["oracle"]),
    ):
        if found:
            yield ScoreRow(ALL, "", selection, found)
            # The oracle of older versions has scores of all clips alone.
            for name, own in found.get("per_dataset", {}).items():
                yield ScoreRow(DATASET, name, selection, own)


def scores_table(run: Run) -> Table:
    """The rows of `score_rows`, as people read them."""
    shown = run.kind.reported
    labels = (metric.label for metric in shown.values())
    columns = ("Clips of", "Epoch", "Subjects", "Clips", *labels)
    rows = tuple(
        (
            *(row.name if row.part == DATASET else "all data sets", row.selection),
            *(str(row.found.get(name, "–")) for name in ("n_subjects", "n_samples")),
            *(banded(row.found.get(n), band(row.found, n)) for n in shown),
        )
        for row in score_rows(run)
    )
    return Table(columns, rows, left=2)


def scores_csv(run: Run) -> str:
    """The rows of `score_rows`, in full precision."""
    shown = run.kind.reported
    ends = [f"{score}{end}" for score in shown for end in ("", "_low", "_high")]
    rows = (
        (
            *(row.part, row.name, row.selection),
            *(row.found.get(name, "") for name in ("n_subjects", "n_samples")),
            *(cell for score in shown for cell in _cells(row.found, score)),
        )
        for row in score_rows(run)
    )
    columns = ("part", "name", "selection", "subjects", "clips", *ends)
    return csv_text([columns, *rows])


def comparison_csv(runs: Sequence[tuple[str, Run]], against: Against) -> str:
    """Every score of every run, with its difference from the first run's."""
    known = {
        (row.run, part, row.part, row.found.score): row
        for part, rows in (
            (ALL, against.overall),
            (CLASS, against.per_class),
            (DATASET, against.per_dataset),
        )
        for row in rows
    }
    ends = ("value", "low", "high")
    columns = (
        *("run", "part", "name", "score", *ends),
        *("difference", "difference_low", "difference_high", "p", "p_corrected"),
    )
    rows = (
        (name, *key, *cells, *_difference(known.get((name, *key))))
        for name, run in runs
        for key, cells in _scores(run)
    )
    return csv_text([columns, *rows])


def _scores(run: Run) -> Iterator[tuple[tuple[str, str, str], tuple]]:
    found, shown = run.metrics, run.kind.reported
    people = {"n_subjects": found["n_subjects"]}
    for score in shown:
        yield (ALL, "", score), _cells(found, score)
    for name, own in found["per_class"].items():
        # A class has no interval, an action unit has.
        yield (CLASS, name, "f1"), _cells({**people, **own}, "f1")
    for name, own in found["per_dataset"].items():
        for score in shown:
            yield (DATASET, name, score), _cells(own, score)


def _cells(found: dict[str, Any], score: str) -> tuple:
    return (found.get(score, ""), *(band(found, score) or ("", "")))


def _difference(row: RunDifference | None) -> tuple:
    if row is None:
        return ("",) * 5
    found = row.found
    return found.value, found.low, found.high, found.p, row.corrected
