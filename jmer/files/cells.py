"""Cells of CSV files that no spreadsheet takes for formulas, and that read back as they
were.

A spreadsheet calculates a cell that begins with `=`, `+`, `-`, `@`, a tab or the end of
a line, and a name may begin like that. Such a cell is written behind an apostrophe, as
spreadsheets themselves mark text; one that has apostrophes before such a letter gets
one more, so that reading takes away just what writing put there. Numbers stay numbers.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from jmer.errors import JmerError

# Letters of full width count, too: some spreadsheets take them for the plain ones.
FORMULA = re.compile(r"'*\s*[=+\-@\t\r\n＝＋－＠]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
END = "\r\n"
"""Of lines, by RFC 4180."""
MOST_LINE = 2**20
"""Letters of a line of a CSV file."""


def harmless(cell: Any) -> Any:
    """A cell as it is written; only text is changed, and no number."""
    if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def as_it_was(cell: str) -> str:
    """What `harmless` made the cell of.

    >>> as_it_was(harmless("=1+1")), harmless("'=1"), harmless("-0.5"), harmless("it's")
    ('=1+1', "''=1", '-0.5', "it's")
    """
    if cell.startswith("'") and FORMULA.match(cell):
        return cell[1:]
    return cell


def csv_text(rows: Iterable[Iterable[Any]], line_end: str = END) -> str:
    """The text of a CSV file, with harmless cells."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # which quotes a lone \r for the sake of its line ends
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        if line_end != END:
            text.seek(text.tell() - len(END))
            text.write(line_end)
            text.truncate()
    return text.getvalue()


def lines_of(file: TextIO, path: Path) -> Iterator[str]:
    """The lines of an open CSV file, none of which may fill the memory.

    Raises: JmerError naming the file for a line of more than a million letters.
    """
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE:
            raise JmerError(
                f"{path} has a line of {MOST_LINE} letters or more: it is no table. "
                f"It was edited or damaged: restore it, or write it again."
            )
        yield line
