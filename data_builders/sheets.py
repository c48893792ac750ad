"""Annotation sheets as people fill them in: read by column name, all cells as text."""

import itertools
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jmer.data.tables import Table, read_tables
from jmer.errors import JmerError

Columns = Mapping[str, tuple[str, ...]]
"""Our name of a column, and the names it has in sheets, the preferred one first."""
Cells = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Line:
    """A row of a sheet: `number` counts data rows from 0, `where` is for people."""

    where: str
    number: int
    values: Mapping[str, str]


@dataclass(frozen=True)
class Fit:
    """A sheet with the needed columns: where they are, and in which rows their names
    and the clips begin, counted from 0."""

    rows: Cells
    index: Mapping[str, int]
    comma: bool = False
    """Whether numbers have a decimal comma."""
    header: Sequence[str] = ()
    names: int = 0
    clips: int = 0


def read_table(
    path: Path,
    columns: Columns,
    *,
    optional: Container[str] = (),
    sheet: str = "",
    positions: Sequence[str] = (),
    numbers: Container[str] = (),
    one_table: bool = False,
    remedy: str = "Restore the published file.",
) -> list[Line]:
    """The rows of a sheet (workbook or text) below the row that names the columns.

    Names are compared without regard to case, blanks and underscores; they may stand in
    two rows, where cells above one another are merged. Rows above them and empty rows
    are passed over, and a whole number that a program wrote as 1.0 is 1. `sheet`
    counts, or else the only one that has the columns. `positions` names the columns of
    a sheet that has no header, `numbers` those whose decimal commas become points where
    a semicolon stands between cells, and `remedy` says what to do where a file is not
    such a sheet. `one_table`: a set without parts, of which a sheet might be one.

    Raises: JmerError if the file cannot be read, if no sheet has the columns or more
    than one, or if a row or a column would be passed over that may be meant.
    """
    needed = [column for column in columns if column not in optional]
    tables = {table.title: table for table in read_tables(path)}
    fitting = _fitting(tables, columns, needed, positions)
    if len(fitting) > 1 and sheet not in fitting:
        many = (
            "Remove all but one, or save that one as CSV"
            if one_table
            else "Rename or remove sheets, or ask for a part that is there"
        )
        raise JmerError(
            f"{path}{f' has no sheet {sheet}, and' if sheet else ':'} sheets "
            f"{', '.join(fitting)} all have the needed columns. {many}."
        )
    for name in (sheet, *fitting):
        if name in fitting:
            where = f"{path}, sheet {name}" if name else f"{path}"
            if not positions:
                _refuse_doubt(where, fitting[name], needed)
            return list(_lines(where, fitting[name], numbers))
    if positions:
        raise JmerError(f"{path} is empty. {remedy}")
    wanted = "; ".join(f"{c}: {' or '.join(columns[c])}" for c in needed)
    raise JmerError(
        f"{path} has no row that names the needed columns ({wanted}). "
        f"{_nearest(tables, columns, needed)}{remedy}"
    )


def other_tables(
    path: Path, columns: Columns, read: str, *, optional: Container[str] = ()
) -> dict[str, list[Line]]:
    """The rows of the sheets of a workbook that `read_table` could have read instead of
    the sheet `read`, by title.

    Raises: JmerError if the file cannot be read.
    """
    needed = [column for column in columns if column not in optional]
    tables = {table.title: table for table in read_tables(path)}
    return {
        title: list(_lines(f"{path}, sheet {title}", fit, ()))
        for title, fit in _fitting(tables, columns, needed, ()).items()
        if title != read
    }


def _fitting(
    tables: Mapping[str, Table],
    columns: Columns,
    needed: Sequence[str],
    positions: Sequence[str],
) -> dict[str, Fit]:
    """The sheets that have the columns."""
    fitting = dict[str, Fit]()
    for title, table in tables.items():
        fit = None
        if not positions:
            fit = _headed(table.rows, columns, needed)
        elif any(map(any, table.rows)):
            fit = Fit(table.rows, {c: i for i, c in enumerate(positions)})
        if fit is not None:
            fitting[title] = replace(fit, comma=table.comma)
    return fitting


def _headed(
    rows: Cells, columns: Columns, needed: Sequence[str], *, two: bool = False
) -> Fit | None:
    """The sheet with its header: the first row that names all that is needed, or else
    (`two`) the first that does so together with the row above it."""
    for i in range(two, len(rows)):
        header = _merged(rows[i - 1], rows[i]) if two else list(rows[i])
        index = _match(header, columns)
        if all(column in index for column in needed):
            return Fit(rows, index, header=header, names=i - two, clips=i + 1)
    return None if two else _headed(rows, columns, needed, two=True)


def _merged(above: Sequence[str], below: Sequence[str]) -> list[str]:
    """Names of two rows as one: each column has the lower name, if it has one."""
    return [b or a for a, b in itertools.zip_longest(above, below, fillvalue="")]


def _nearest(
    tables: Mapping[str, Table], columns: Columns, needed: Sequence[str]
) -> str:
    """What the row that names most of the needed columns lacks, if one does."""
    best, words = 1, ""
    for title, table in tables.items():
        for i, row in enumerate(table.rows):
            index = _match(row, columns)
            lacking = [c for c in needed if c not in index]
            if len(needed) - len(lacking) > best:
                best = len(needed) - len(lacking)
                names = ", ".join(columns[c][0] for c in lacking)
                of = f" of sheet {title}" if title else ""
                words = f"Row {i + 1}{of} lacks {names}. "
    return words


def _refuse_doubt(where: str, fit: Fit, needed: Sequence[str]) -> None:
    """Raises: JmerError if a column is named twice, or a row above the header is
    filled in as those below it are, such as in a sheet that was sorted with its header.
    """
    header = [_plain(cell) for cell in fit.header]
    for i in fit.index.values():
        if header.count(header[i]) > 1:
            raise JmerError(
                f"{where}, row {fit.clips}: two columns are called {fit.header[i]!r}. "
                f"Remove or rename one of the two."
            )
    for number, row in enumerate(fit.rows[: fit.names], start=1):
        there = (c for c in needed if fit.index[c] < len(row))
        filled = [c for c in there if row[fit.index[c]]]
        if len(filled) >= max(2, len(needed) - 1):
            raise JmerError(
                f"{where}, row {number} stands above the names of the columns in row "
                f"{fit.clips}, but is filled in. Put the names above all clips."
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


def _lines(where: str, fit: Fit, numbers: Container[str]) -> Iterator[Line]:
    number = 0

    def value(column: str, cell: str) -> str:
        if fit.comma and column in numbers:
            cell = re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell)
        return whole(cell, comma=fit.comma)

    for i in range(fit.clips, len(fit.rows)):
        row = fit.rows[i]
        values = {
            column: value(column, row[k]) if k < len(row) else ""
            for column, k in fit.index.items()
        }
        if any(values.values()):
            yield Line(f"{where}, row {i + 1}", number, values)
            number += 1


def whole(text: str, *, comma: bool = False) -> str:
    """A cell, without the zeros behind the point (or comma) of a whole number.

    >>> whole("46.0"), whole("1,00", comma=True), whole("1.5"), whole("R12")
    ('46', '1', '1.5', 'R12')
    """
    found = re.fullmatch(r"(\d+)[.,]0+" if comma else r"(\d+)\.0+", text)
    return found[1] if found else text
