"""The text of all cells of a table, whatever program saved it and under what ending."""

import csv
import io
import re
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

from jmer.data.tables.plain_text import bare, decoded, rows_of
from jmer.errors import JmerError

CELL = re.compile(rb"""\sr=["']([A-Z]{1,3})(\d{1,7})["']""")
MOST_CELLS = 20_000_000
MOST_BYTES, MOST_UNPACKED = 2**29, 2**27
"""Of a file, and of what is packed in a workbook."""
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
PAGE = re.compile(r"\s*<(!doctype|html|head|body|table|meta|\?xml|\w+:)", re.I)


@dataclass(frozen=True)
class Table:
    """One sheet of a workbook, or a file of text, which has no title.

    `rows` hold the text of each cell without blanks around it; hidden rows and columns
    are there like others, and of merged cells the first one has the text. `lines` are
    the numbers of rows in the file as it is shown, from 1. `comma` says that a decimal
    point is a comma there, since another sign stands between cells.
    """

    title: str
    rows: list[list[str]]
    lines: list[int]
    comma: bool = False


def read_tables(path: Path) -> list[Table]:
    """All sheets of a workbook (.xlsx, .xls, .ods), or the one table of a text file.

    What it is, its content says, and not its ending: a `.xls` may hold a new workbook,
    or text. Of text, encoding and delimiter are found (see `plain_text`).

    Raises: JmerError naming the file, what is wrong and the remedy.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise JmerError(
                f"cannot read {path}: it has more than {MOST_BYTES >> 20} MiB. Give "
                f"the annotation alone."
            )
        content = path.read_bytes()
    except OSError as error:
        raise JmerError(
            f"cannot read {path} ({error.strerror or error}): restore the file."
        ) from error
    if content.startswith((ZIP, OLE)):
        return _workbook(path, content)
    return [_text_table(path, content)]


def _workbook(path: Path, content: bytes) -> list[Table]:
    # Training needs no sheets.
    from python_calamine import CalamineWorkbook

    try:
        if content.startswith(ZIP):
            _refuse_huge(path, content)
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        made = []
        for name in book.sheet_names:
            sheet = book.get_sheet_by_name(name)
            rows = [
                [_text(cell) for cell in row]
                for row in sheet.to_python(skip_empty_area=False)
            ]
            made.append(Table(name, rows, list(range(1, len(rows) + 1))))
        return made
    except JmerError:
        raise
    # The reader is compiled, and raises many kinds for what is no sheet.
    except Exception as error:
        raise JmerError(f"cannot read {path} ({error}): restore the file.") from error


def _text_table(path: Path, content: bytes) -> Table:
    named_book = path.suffix.lower() in WORKBOOKS
    if not content.strip(b"\0 \r\n\t"):
        raise JmerError(f"cannot read {path} (it is empty): restore the file.")
    try:
        text = decoded(content)
    except ValueError as error:
        if named_book:
            raise JmerError(
                f"cannot read {path} (it is no workbook): restore the file."
            ) from error
        raise JmerError(
            f"cannot read {path} ({error}): save it as UTF-8, or restore the file."
        ) from error
    if PAGE.match(text):
        raise JmerError(
            f"cannot read {path} (it is a web page or XML, not a workbook): open it in "
            f"a spreadsheet program and save it as .xlsx, or restore the file."
        )
    try:
        delimiter, numbered = rows_of(text)
    except csv.Error as error:
        raise JmerError(
            f"cannot read {path} ({error}): it is no CSV file, or quotes around a cell "
            f"do not match. Correct it, or restore the file."
        ) from error
    if named_book and max(len(row) for _, row in numbered) < 2:
        raise JmerError(f"cannot read {path} (it is no workbook): restore the file.")
    rows, lines = [row for _, row in numbered], [line for line, _ in numbered]
    return Table("", rows, lines, comma=delimiter != ",")


def _refuse_huge(path: Path, content: bytes) -> None:
    """Raises: JmerError if the cells of a sheet span more than can be held in memory:
    the reader makes room for all of them, and ends the program if there is none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(info.file_size for info in archive.infolist()) > MOST_UNPACKED:
            raise JmerError(
                f"cannot read {path}: unpacked, it has more than {MOST_UNPACKED >> 20} "
                f"MiB. Delete what is not the annotation."
            )
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


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return bare(unicodedata.normalize("NFC", str(cell)))
