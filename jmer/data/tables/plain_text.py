"""Tables as text (.csv, .tsv): in which encoding, and with which delimiter."""

import collections
import csv
import io
from collections.abc import Sequence

BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# What spreadsheets write that know no Unicode. Chinese text comes in pairs of high
# bytes, between which Western text has others; the last one has rarer signs, too.
OLDER = ("gb2312", "cp1252", "gb18030")
DELIMITERS = (",", ";", "\t")

Rows = list[tuple[int, list[str]]]
"""With the number of the line on which each ends."""


def decoded(content: bytes) -> str:
    """The text of a file of any usual encoding, without its mark of byte order.

    What says its encoding, by that mark, must be right in it.

    Raises: ValueError if it is none, or holds what no text does.
    """
    mark = next((mark for mark in BOMS if content.startswith(mark)), None)
    encodings = (BOMS[mark],) if mark else (*_unmarked(content), "utf-8", *OLDER)
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            last = error
            continue
        if "\0" in text:
            raise ValueError("it holds what is no text")
        return text
    raise ValueError(f"it is no text in UTF-8: {last.reason}")


def _unmarked(content: bytes) -> tuple[str, ...]:
    """UTF-16 that does not say so: every other byte of plain words is 0."""
    half = len(content) // 2
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half > 1 and content[start::2].count(0) > half // 2:
            return (encoding,)
    return ()


def rows_of(text: str) -> tuple[str, Rows]:
    """The delimiter, and the lines of a table with their numbers.

    The delimiter is the comma, semicolon or tabulator that makes most columns of most
    lines: where a comma is a decimal point, spreadsheets write semicolons.

    Raises: csv.Error if quotes do not match.
    """
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        # The delimiter as Excel notes it, and a line that stays counted.
        rows = [(n + 1, row) for n, row in _split(rest, first[4])]
        return first[4], [(1, []), *rows]
    found: list[tuple[float, str, Rows]] = []
    mistake = None
    for delimiter in DELIMITERS:
        if delimiter in text or delimiter == ",":
            try:
                rows = _split(text, delimiter)
            except csv.Error as error:
                mistake = mistake or error
                continue
            fit = _fit([row for _, row in rows if row])
            found.append((fit, delimiter, rows))
    if not found:
        assert mistake is not None
        raise mistake
    return max(found, key=lambda one: one[0])[1:]


def _split(text: str, delimiter: str) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How many columns a part of the rows has, times that part, whichever is most;
    notes above a table have fewer."""
    times = collections.Counter(map(len, rows))
    return max(((width - 1) * n / len(rows) for width, n in times.items()), default=0.0)
