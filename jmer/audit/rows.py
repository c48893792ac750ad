"""Tables of other people: their columns by name, their values checked."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jmer.audit.roster import Name
from jmer.data.names import plain
from jmer.data.tables import Table, read_tables
from jmer.errors import JmerError, UsageError, quoted
from jmer.files.cells import as_it_was
from jmer.scores.predictions import UNIT

COLUMNS = {
    "subject": ("subject",),
    "dataset": ("dataset",),
    "clip": ("clip",),
    "label": ("label", "emotion"),
    "predicted": ("predicted", "prediction"),
    "fold": ("fold",),
    "seed": ("seed",),
    "epoch": ("epoch",),
    "video": ("video", "filename"),
    "onset": ("onset",),
    "offset": ("offset",),
    "split": ("split",),
}
"""What a table may have, and how the column is called, in whatever case."""


@dataclass(frozen=True)
class ListedRow:
    """One line: values by the names in `COLUMNS`, of the columns that there are."""

    where: str
    values: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str) -> int | None:
        """A whole number; None where the column or the value is not there.

        Raises: JmerError if the value is something else.
        """
        text = self.text(name)
        if not text:
            return None
        # Spreadsheets write 12 as 12.0, or 12,0.
        if not re.fullmatch(r"-?\d{1,12}([.,]0+)?", text):
            raise JmerError(
                f"{self.where}: {name} {quoted(text)} is no whole number. Correct it, "
                f"or leave it empty."
            )
        return int(re.split("[.,]", text)[0])

    @property
    def span(self) -> tuple[str, int, int] | None:
        """The video and its frames, None where they are not known, or the offset is
        before the onset.
        """
        onset, offset = self.number("onset"), self.number("offset")
        video = self.text("video")
        if onset is None or offset is None or not video or offset < onset:
            return None
        # A letter of a video may come in either case.
        scope = (self.text("dataset"), self.text("subject"), video.lower())
        return "/".join(scope), onset, offset

    @property
    def name(self) -> Name | None:
        """Data set, subject and clip. Where no column names the clip, its video and
        onset do; None without either.
        """
        clip = self.text("clip")
        if not clip and self.text("video"):
            onset = self.number("onset")
            video = self.text("video").lower()
            clip = video if onset is None else f"{video}_{onset}"
        return (self.text("dataset"), self.text("subject"), clip) if clip else None


def parse_columns(words: Sequence[str]) -> dict[str, str]:
    """`subject=Subject` as a choice of columns.

    Raises: UsageError for a name that no table has.
    """
    chosen = {}
    for word in words:
        name, equals, column = word.partition("=")
        if not equals or name not in COLUMNS:
            raise UsageError(
                f"columns={word}: must be NAME=COLUMN with a name of "
                f"{', '.join(COLUMNS)}"
            )
        chosen[name] = column
    return chosen


def _refuse_units(path: Path, header: Sequence[str]) -> None:
    """Raises: JmerError for the predictions of a run on action units, whose labels are
    sets and no classes."""
    if any(plain(name).startswith(UNIT) for name in header):
        raise JmerError(
            f"{path} has predictions of action units ({UNIT}AU1, …), whose labels are "
            f"sets and no classes. Audit the run that they are of instead: `jmer audit "
            f"{shlex.quote(str(path.parent))}`."
        )


def read_rows(
    path: Path, required: Sequence[str], chosen: Mapping[str, str] | None = None
) -> list[ListedRow]:
    """The lines of a table (text or workbook); `chosen` names columns that are called
    otherwise.

    Raises: JmerError if it cannot be read, lacks a required column or value, or is
    empty.
    """
    table, columns = _chosen(path, required, chosen or {})
    (_, header), *lines = _filled(table)
    _refuse_units(path, header)
    place = f"{path}, sheet {table.title}" if table.title else f"{path}"
    rows = []
    for number, line in lines:
        where = f"{place}, line {number}"
        if len(line) != len(header):
            raise JmerError(
                f"{where} has {len(line)} values for {len(header)} columns. Correct it."
            )
        values = {name: plain(line[at]) for name, at in columns.items()}
        row = ListedRow(where, values)
        trains = row.text("split").lower() == "train"
        for name in ("subject",) if trains else required:
            if not row.text(name):
                raise JmerError(f"{where}: {name} is empty. Fill it in.")
        rows.append(row)
    if not rows:
        raise JmerError(f"{path} has no rows: there is nothing to audit.")
    return rows


def _chosen(
    path: Path, required: Sequence[str], chosen: Mapping[str, str]
) -> tuple[Table, dict[str, int]]:
    """The sheet that has the required columns, and where these are.

    Raises: JmerError if none has, or several have.
    """
    tables = [table for table in read_tables(path) if _filled(table)]
    if not tables:
        raise JmerError(f"{path} is empty: there is nothing to audit.")
    found, first = dict[str, tuple[Table, dict[str, int]]](), None
    for table in tables:
        header = [plain(name) for name in _filled(table)[0][1]]
        try:
            found[table.title] = table, _columns(path, header, required, chosen)
        except JmerError as error:
            first = first or error
    if len(found) > 1:
        raise JmerError(
            f"{path}: sheets {', '.join(found)} all have the needed columns. Save the "
            f"one that is meant as a file of its own."
        )
    if not found:
        assert first is not None
        raise first
    return next(iter(found.values()))


def _filled(table: Table) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with their numbers; cells as they were before they
    were made harmless."""
    numbered = zip(table.lines, table.rows, strict=True)
    return [(line, [as_it_was(c) for c in row]) for line, row in numbered if any(row)]


def _columns(
    path: Path,
    header: Sequence[str],
    required: Sequence[str],
    chosen: Mapping[str, str],
) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, usual in COLUMNS.items():
        if name in chosen:
            places = [i for i, column in enumerate(header) if column == chosen[name]]
        else:
            places = [i for i, column in enumerate(header) if column.lower() in usual]
        if len(places) > 1:
            called = [header[place] for place in places]
            raise JmerError(
                f"{path} has two columns for {name}: {called[0]} and {called[1]}. "
                + (
                    f"Choose one with --columns "
                    f"{' or '.join(shlex.quote(f'{name}={c}') for c in called)}."
                    if len(set(called)) == len(called)
                    else "Rename one of the two in the file: no option can tell them "
                    "apart."
                )
            )
        if places:
            found[name] = places[0]
        elif name in required or name in chosen:
            raise JmerError(
                f"{path} has no column {chosen.get(name, name)}, but "
                f"{', '.join(header)}. Say which it is with --columns {name}=COLUMN."
            )
    return found
