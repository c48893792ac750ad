"""Annotation sheets as people fill them in: read by column name, all cells as text."""

import contextlib
import csv
import fnmatch
import re
import zipfile
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from python_calamine import CalamineWorkbook

from jmer.data.asking import data_option
from jmer.errors import JmerError

CELL = re.compile(rb"""\sr=["']([A-Z]{1,3})(\d{1,7})["']""")
MOST_CELLS = 20_000_000
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
        for depth in ("*/*/*", "*/*", "*")
        for path in root.glob(depth)
        if any(
            path.name == p or fnmatch.fnmatch(path.name.lower(), p.lower())
            for p in wanted
        )
        and not path.name.startswith(("~$", "."))  # locks and remains of others
        and is_file(path)
    )
    # By links, one file can be found in several places; the shortest way counts.
    found = sorted({p.resolve(): p for p in sorted(found, key=_depth)[::-1]}.values())
    if not found:
        raise JmerError(
            f"no annotation sheet {' or '.join(wanted)} in {root}: put it there as the "
            f"owners distribute it, or give its name with "
            f"{data_option('table', 'FILE')}."
        )
    if len(found) > 1:
        raise JmerError(
            f"{len(found)} annotation sheets in {root}: "
            f"{', '.join(str(p.relative_to(root)) for p in found)}. Choose one with "
            f"{table_options(found)}, or remove the others."
        )
    return found[0]


def table_options(found: Sequence[Path]) -> str:
    """The options that choose one of the sheets, where their names tell them apart."""
    names = [path.name for path in found]
    if len(set(names)) < len(names):
        return data_option("table", "FILE")
    return " or ".join(data_option("table", name) for name in names)


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
    header and empty rows are passed over. `sheet` counts, or else the only one that has
    the columns. `positions` names the columns of a sheet that has no header, and
    `remedy` says what to do where a file is not such a sheet.

    Raises: JmerError if the file cannot be read, if no sheet has the columns or more
    than one, or if a row or a column would be passed over that may be meant.
    """
    needed = [column for column in columns if column not in optional]
    fitting: dict[str, tuple[list[list[str]], int, dict[str, int]]] = {}
    for name, rows in _sheets(path).items():
        if positions and any(map(any, rows)):
            fitting[name] = rows, 0, {c: i for i, c in enumerate(positions)}
        for top, row in enumerate(() if positions else rows):
            index = _match(row, columns)
            if all(column in index for column in needed):
                fitting[name] = rows, top + 1, index
                break
    if len(fitting) > 1 and sheet not in fitting:
        raise JmerError(
            f"{path}{f' has no sheet {sheet}, and' if sheet else ':'} sheets "
            f"{', '.join(fitting)} all have the needed columns. Rename or remove "
            f"sheets, or ask for a part that is there."
        )
    for name in (sheet, *fitting):
        if name in fitting:
            where = f"{path}, sheet {name}" if name else f"{path}"
            rows, top, index = fitting[name]
            if not positions:
                _refuse_doubt(where, rows, top, index, needed)
            return list(_lines(where, rows, top, index))
    if positions:
        raise JmerError(f"{path} is empty. {remedy}")
    needed = [c for c in columns if c not in optional]
    wanted = "; ".join(f"{c}: {' or '.join(columns[c])}" for c in needed)
    raise JmerError(
        f"{path} has no row that names the needed columns ({wanted}). {remedy}"
    )


def _refuse_doubt(
    where: str,
    rows: Sequence[Sequence[str]],
    top: int,
    index: Mapping[str, int],
    needed: Sequence[str],
) -> None:
    """Raises: JmerError if a column is named twice, or a row above the header is
    filled in as those below it are, such as in a sheet that was sorted with its header.
    """
    header = [_plain(cell) for cell in rows[top - 1]]
    for i in index.values():
        if header.count(header[i]) > 1:
            raise JmerError(
                f"{where}, row {top}: two columns are called {rows[top - 1][i]!r}. "
                f"Remove or rename one of the two."
            )
    for number, row in enumerate(rows[: top - 1], start=1):
        filled = [c for c in needed if index[c] < len(row) and row[index[c]]]
        if len(filled) >= max(2, len(needed) - 1):
            raise JmerError(
                f"{where}, row {number} stands above the names of the columns in row "
                f"{top}, but is filled in. Put the names above all clips."
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


def _sheets(path: Path) -> dict[str, list[list[str]]]:
    """The text of all cells of all sheets; a CSV file is one without a name."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return {"": [[_text(c) for c in row] for row in csv.reader(file)]}
        _refuse_huge(path)
        book = CalamineWorkbook.from_path(str(path))
        return {
            name: [
                [_text(cell) for cell in row]
                for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            ]
            for name in book.sheet_names
        }
    except JmerError:
        raise
    except UnicodeDecodeError as error:
        raise JmerError(
            f"cannot read {path} ({error}): save it as UTF-8, or restore the file."
        ) from error
    # The reader is compiled, and raises many kinds for what is no sheet.
    except Exception as error:
        raise JmerError(f"cannot read {path} ({error}): restore the file.") from error


def _refuse_huge(path: Path) -> None:
    """Raises: JmerError if the cells of a sheet span more than can be held in memory:
    the reader makes room for all of them, and ends the program if there is none."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not re.fullmatch(r"xl/worksheets/[^/]*\.xml", name):
                continue
            with archive.open(name) as file:
                places = CELL.findall(file.read())
            wide = max((_column(letters) for letters, _ in places), default=0)
            high = max((int(digits) for _, digits in places), default=0)
            if wide * high > MOST_CELLS:
                raise JmerError(
                    f"{path}: a sheet ({name}) has cells as far as column {wide} and "
                    f"row {high}. Delete what lies beyond the table."
                )


def _column(letters: bytes) -> int:
    """1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def is_file(path: Path) -> bool:
    """Also of what may not be looked at, or has a name longer than any file's."""
    with contextlib.suppress(OSError):
        return path.is_file()
    return False


def _depth(path: Path) -> int:
    return len(path.parts)


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return str(cell).strip()
