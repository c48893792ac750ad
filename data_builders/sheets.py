"""Annotation sheets as people fill them in: read by column name, all cells as text."""

import csv
import fnmatch
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineWorkbook

from jmer.errors import JmerError

Columns = Mapping[str, tuple[str, ...]]
"""Our name of a column, and the names it has in sheets, the preferred one first."""


@dataclass(frozen=True)
class Line:
    """A row of a sheet: `number` counts data rows from 0, `where` is for people."""

    where: str
    number: int
    values: Mapping[str, str]


def find_table(root: Path, patterns: Sequence[str], chosen: str = "") -> Path:
    """The one file below `root` (two folders deep) whose name fits a pattern.

    Raises: JmerError if there is none, or more than one.
    """
    wanted = [chosen] if chosen else patterns
    found = sorted(
        path
        for depth in ("*", "*/*", "*/*/*")
        for path in root.glob(depth)
        if any(fnmatch.fnmatch(path.name.lower(), p.lower()) for p in wanted)
        and not path.name.startswith(("~$", "."))  # locks and remains of others
        and path.is_file()
    )
    if not found:
        raise JmerError(
            f"no annotation sheet {' or '.join(wanted)} in {root}: put it there as the "
            f"owners distribute it, or give its name with --table FILE."
        )
    if len(found) > 1:
        raise JmerError(
            f"{len(found)} annotation sheets in {root}: "
            f"{', '.join(str(p.relative_to(root)) for p in found)}. Choose one with "
            f"--table FILE, or remove the others."
        )
    return found[0]


def read_table(
    path: Path,
    columns: Columns,
    *,
    optional: Container[str] = (),
    sheet: str = "",
    positions: Sequence[str] = (),
    remedy: str = "Restore the published file.",
) -> list[Line]:
    """The rows of a sheet (.xlsx, .xls or .csv) below the row that names the columns.

    Names are compared without regard to case, blanks and underscores; rows above the
    header and empty rows are passed over. `sheet` is looked at first, then the others.
    `positions` names the columns of a sheet that has no header, and `remedy` says what
    to do where a file is not such a sheet.

    Raises: JmerError if the file cannot be read or no sheet has the columns.
    """
    for name, rows in _sheets(path, sheet):
        where = f"{path}, sheet {name}" if name else f"{path}"
        if positions and rows:
            index = {column: i for i, column in enumerate(positions)}
            return list(_lines(where, rows, 0, index))
        for top, row in enumerate(rows):
            index = _match(row, columns)
            lacking = [c for c in columns if c not in index and c not in optional]
            if not lacking:
                return list(_lines(where, rows, top + 1, index))
    if positions:
        raise JmerError(f"{path} is empty. {remedy}")
    needed = [c for c in columns if c not in optional]
    wanted = "; ".join(f"{c}: {' or '.join(columns[c])}" for c in needed)
    raise JmerError(
        f"{path} has no row that names the needed columns ({wanted}). {remedy}"
    )


def _match(row: Sequence[str], columns: Columns) -> dict[str, int]:
    at: dict[str, int] = {}
    for i, cell in enumerate(row):
        at.setdefault(_plain(cell), i)
    index = {}
    for column, names in columns.items():
        found = [at[_plain(name)] for name in names if _plain(name) in at]
        if found:
            index[column] = found[0]
    return index


def _plain(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).lower()


def _lines(
    where: str, rows: Sequence[Sequence[str]], top: int, index: Mapping[str, int]
) -> Iterator[Line]:
    number = 0
    for i in range(top, len(rows)):
        row = rows[i]
        values = {c: row[k] if k < len(row) else "" for c, k in index.items()}
        if any(values.values()):
            yield Line(f"{where}, row {i + 1}", number, values)
            number += 1


def _sheets(path: Path, preferred: str) -> Iterator[tuple[str, list[list[str]]]]:
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                yield "", [[_text(cell) for cell in row] for row in csv.reader(file)]
            return
        book = CalamineWorkbook.from_path(str(path))
        names = sorted(book.sheet_names, key=lambda name: name != preferred)
        tables = [
            (name, book.get_sheet_by_name(name).to_python(skip_empty_area=False))
            for name in names
        ]
    # The reader is compiled, and raises many kinds for what is no sheet.
    except Exception as error:
        raise JmerError(f"cannot read {path} ({error}): restore the file.") from error
    for name, table in tables:
        yield name, [[_text(cell) for cell in row] for row in table]


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()
