"""Runs against the first of them, on the same clips: paired differences."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jmer.errors import JmerError
from jmer.report.render.blocks import PageBlock, Paragraph, Section, Table
from jmer.scores.labels import LabelKind
from jmer.scores.paired import Difference, Paired, holm, paired
from jmer.scores.predictions import Predictions
from jmer.text import counted

INTERVAL = "[95\N{NO-BREAK SPACE}%]"
FEW_SUBJECTS = 6
"""With fewer no p can be below 0.05."""


@dataclass(frozen=True)
class RunDifference:
    """One difference of one run from the first."""

    run: str
    part: str
    """Class or data set; empty for all clips."""
    found: Difference
    corrected: float
    """p after the correction for all tests of this score in its table."""


@dataclass(frozen=True)
class Against:
    """What sets runs apart from the first of them."""

    overall: tuple[RunDifference, ...]
    per_class: tuple[RunDifference, ...]
    per_dataset: tuple[RunDifference, ...]
    """Empty with one data set, which `overall` is already."""
    refused: tuple[tuple[str, str], ...]
    """Runs that cannot be tested, and why."""
    kind: LabelKind
    """What the labels of all of them are."""


def against_first(names: Sequence[str], predictions: Sequence[Predictions]) -> Against:
    """The paired differences of all runs from the first."""
    kind = predictions[0].kind
    pairs: list[tuple[str, Paired]] = []
    refused = []
    for name, other in zip(names[1:], predictions[1:], strict=True):
        try:
            pairs.append((name, paired(predictions[0], other)))
        except JmerError as error:
            refused.append((name, str(error)))
    several = any(len(pair.per_dataset) > 1 for _, pair in pairs)
    return Against(
        overall=_corrected(
            (name, "", pair.overall[score])
            for name, pair in pairs
            for score in kind.reported
        ),
        per_class=_corrected(
            (name, part, found)
            for name, pair in pairs
            for part, found in pair.per_class.items()
        ),
        per_dataset=_corrected(
            (name, part, found[score])
            for name, pair in pairs
            for part, found in pair.per_dataset.items()
            for score in kind.reported
            if several
        ),
        refused=tuple(refused),
        kind=kind,
    )


def _corrected(
    found: Iterable[tuple[str, str, Difference]],
) -> tuple[RunDifference, ...]:
    """Rows whose p are corrected for all tests of the same score among them."""
    found = list(found)
    corrected: dict[int, float] = {}
    for score in {one.score for *_, one in found}:
        own = [i for i, (*_, one) in enumerate(found) if one.score == score]
        p = holm([found[i][2].p for i in own])
        corrected.update(zip(own, p.tolist(), strict=True))
    return tuple(RunDifference(*one, corrected[i]) for i, one in enumerate(found))


def paired_section(first: str, against: Against) -> Section:
    """Each run against the one called `first`: overall, per class and per data set."""
    return Section("Paired differences", tuple(_blocks(first, against)))


def _blocks(first: str, against: Against) -> Iterator[PageBlock]:
    for name, reason in against.refused:
        text = f"No paired test of {name} against {first} is possible: {reason}"
        yield Paragraph(text, "warning")
    if not against.overall:
        return
    runs = len({row.run for row in against.overall})
    yield Paragraph(
        f"Each run minus {first}, on the same clips. Intervals come from drawing "
        f"subjects again, the same for both runs. p is the share of random swaps of "
        f"the two runs' predictions, subject by subject, that give a difference at "
        f"least as large. {counted(runs, 'run')} {'is' if runs == 1 else 'are'} "
        f"compared; p in brackets is corrected (Holm) for all tests of that score in "
        f"its table."
    )
    least = min(row.found.subjects for row in against.overall)
    if least < FEW_SUBJECTS:
        yield Paragraph(
            f"With {counted(least, 'subject')} no p can be below "
            f"{2 / 2**least:.3g}: nothing can be shown with so few.",
            "warning",
        )
    for what, table in paired_tables(against):
        tests = counted(len(table.rows), "test")
        yield Paragraph(f"{what.capitalize()}, {tests} of each score:")
        yield table


def paired_tables(against: Against) -> Iterator[tuple[str, Table]]:
    """The differences as tables, a row per run and part, each with what it is of."""
    kind = against.kind
    parts = (
        ("all clips", (), against.overall),
        (f"each {kind.one}", (kind.one.capitalize(),), against.per_class),
        ("each data set", ("Data set",), against.per_dataset),
    )
    for what, column, rows in parts:
        left = 1 + len(column)
        lines: dict[tuple[str, ...], list[RunDifference]] = {}
        for row in rows:
            lines.setdefault((row.run, row.part)[:left], []).append(row)
        if not lines:
            continue
        names = [
            kind.label_of_score(row.found.score) for row in next(iter(lines.values()))
        ]
        ends = [
            (f"{name} difference {INTERVAL}", f"{name} p (corrected)") for name in names
        ]
        columns = ("Run", *column, *(end for pair in ends for end in pair))
        cells = tuple(
            (*key, *(cell for row in own for cell in _cells(row)))
            for key, own in lines.items()
        )
        yield what, Table(columns, cells, left=left, cards=True)


def _cells(row: RunDifference) -> tuple[str, str]:
    found = row.found
    band = f" [{found.low:+.3f},\N{NO-BREAK SPACE}{found.high:+.3f}]"
    # One person drawn again and again would give an interval without width.
    difference = f"{found.value:+.4f}" + (band if found.subjects > 1 else "")
    return difference, f"{found.p:.4f} ({row.corrected:.4f})"
