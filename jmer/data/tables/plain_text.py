"""Tables as text (.csv, .tsv): in which encoding, and with which delimiter."""

import collections
import csv
import io
import unicodedata
from collections.abc import Generator, Sequence
from pathlib import Path

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
HEAD = 2**18  # bytes of a long file that say how to read it
DELIMITERS = (",", ";", "\t")

# Signs without width, which pages and messengers leave between letters.
UNSEEN = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, 0xAD))

Rows = list[tuple[int, list[str]]]
"""With the number of the line on which each ends."""


def bare(cell: str) -> str:
    """A cell without blanks around it, and without signs that nobody sees."""
    return cell.translate(UNSEEN).strip()


def decoded(content: bytes) -> str:
    """The text of a file of any usual encoding, without its mark of byte order.

    What says its encoding, by that mark, must be right in it.

    Raises: ValueError if it is none, or holds what no text does.
    """
    encoding = next((e for e in _encodings(content) if _decodes(content, e)), None)
    if encoding is None:
        raise ValueError("it is no text in UTF-8")
    text = content.decode(encoding)
    # Between the cells of any table are signs of ASCII.
    if "\0" in text or not any(c.isascii() for c in text):
        raise ValueError("it holds what is no text")
    # Or a letter and its accent, as Macs write them, are somebody else's name.
    return unicodedata.normalize("NFC", text)


def _encodings(content: bytes) -> tuple[str, ...]:
    """In which encodings a file may be, the likely ones first."""
    mark = next((mark for mark in BOMS if content.startswith(mark)), None)
    return (BOMS[mark],) if mark else (*_unmarked(content), "utf-8", *OLDER)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


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


def streamed(path: Path) -> Generator[tuple[int, list[str]], None, None]:
    """The lines of a long table, one after another; what its encoding and its delimiter
    are, its beginning says.

    Raises: OSError, ValueError if it is no text, csv.Error if quotes do not match.
    """
    with path.open("rb") as start:
        head = start.read(HEAD)
    # Whole lines, unless a sign has several bytes, of which the end might be cut off.
    cut = len(head) == HEAD and b"\0" not in head[:64]
    whole = head[: head.rfind(b"\n") + 1 or HEAD] if cut else head
    text = decoded(whole) if whole else ""
    encoding = next(e for e in _encodings(whole) if _decodes(whole, e))
    delimiter, _ = rows_of(text.rpartition("\n")[0] or text)
    with path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for row in reader:
            yield reader.line_num, [bare(cell) for cell in row]


def _split(text: str, delimiter: str) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [(reader.line_num, [bare(cell) for cell in row]) for row in reader]


def _fit(rows: Sequence[Sequence[str]]) -> float:
    """How many columns a part of the rows has, times that part, whichever is most;
    notes above a table have fewer."""
    times = collections.Counter(map(len, rows))
    return max(((width - 1) * n / len(rows) for width, n in times.items()), default=0.0)
