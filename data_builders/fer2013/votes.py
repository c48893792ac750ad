"""FER+: the votes of ten people on each image of FER2013. Barsoum et al. 2016."""

import contextlib
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_builders.fer2013 import PLUS
from data_builders.sheets import whole
from jmer.data.tables import streamed
from jmer.errors import JmerError, quoted

TABLE = "fer2013new.csv"
COLUMNS = (*PLUS, "unknown", "nf")
"""What people could vote for: `nf` is no face."""
COUNTS = dict(
    zip(PLUS, (11_012, 9_045, 3_960, 3_749, 2_660, 161, 677, 148), strict=True)
)
"""Images of each class by the published table, by the majority of votes."""
USAGES = {"training": 25_060, "publictest": 3_199, "privatetest": 3_153}
"""Images that have a class, by their use."""


@dataclass(frozen=True)
class Voted:
    """A row of the table."""

    line: int
    usage: str
    label: int | None
    """By the majority; None where it is for no class, or there is none."""


def majority(votes: Sequence[int]) -> int | None:
    """The class of `PLUS` that has more than half of the votes which somebody shares.

    As in the published code: a single vote counts as a mistake, for whatever it is.
    """
    counted = [n if n > 1 else 0 for n in votes]
    most = max(counted)
    if most * 2 <= sum(counted):
        return None
    winner = counted.index(most)
    return winner if winner < len(PLUS) else None


def read_votes(file: Path) -> tuple[list[Voted], list[str]]:
    """The rows in their order, which is that of fer2013.csv, and what is wrong with
    some: file, line and remedy.

    Raises: JmerError if it cannot be read or lacks a column.
    """
    rows, problems = list[Voted](), list[str]()
    try:
        with contextlib.closing(streamed(file)) as lines:
            header = [cell.lower() for cell in next(lines, (0, []))[1]]
            wanted = ("usage", *COLUMNS)
            if missing := [name for name in wanted if name not in header]:
                raise JmerError(
                    f"{file} has no column {missing[0]!r} in its first line: it needs "
                    f"Usage, {', '.join(PLUS)}, unknown and NF. Restore the published "
                    f"file."
                )
            at = [header.index(name) for name in wanted]
            for number, cells in lines:
                if not cells:
                    continue
                cells += [""] * (max(at) + 1 - len(cells))
                usage, *votes = (cells[i] for i in at)
                counts = [whole(vote) for vote in votes]
                wrong = [text for text in counts if not text.isdecimal()]
                if wrong:
                    problems.append(
                        f"{file}, line {number}: {quoted(wrong[0])} is no number of "
                        f"votes. Restore the published file."
                    )
                    counts = ["0"] * len(counts)
                label = majority([int(text) for text in counts])
                rows.append(Voted(number, usage.lower(), label))
    except (OSError, ValueError, csv.Error) as error:
        raise JmerError(
            f"cannot read {file} ({error}): restore the published file."
        ) from error
    return rows, problems
