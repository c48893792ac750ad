"""Other sheets of a workbook that say otherwise of the clips that were read."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from data_builders.annotation import SheetRow
from data_builders.sheets import Line
from jmer.errors import JmerError

SHOWN = 3
FIELDS = ("onset", "apex", "offset")


def disagreements(
    read: Sequence[SheetRow],
    others: Mapping[str, Sequence[Line]],
    row_of: Callable[[Line], SheetRow],
) -> Iterator[str]:
    """A sentence on each of the `others` that has clips of the rows that were `read`,
    and has other frames or labels for some, or lacks some."""
    where = read[0].where.rsplit(", row", 1)[0] if read else ""
    mine = {row.key: row for row in read}
    for title, lines in others.items():
        theirs = {row.key: row for row in _rows(lines, row_of)}
        shared = mine.keys() & theirs.keys()
        odd = [
            f"{row.title} ({_difference(row, theirs[row.key])})"
            for row in read
            if row.key in shared and _difference(row, theirs[row.key])
        ]
        apart = len(theirs.keys() ^ mine.keys())
        if not shared or not (odd or apart):
            continue
        differs = []
        if odd:
            more = ", …" if len(odd) > SHOWN else ""
            differs.append(
                f"says otherwise of {len(odd)} clips: {', '.join(odd[:SHOWN])}{more}"
            )
        if apart:
            differs.append(f"has or lacks {apart} clips")
        yield (
            f"{where} is read; sheet {title} of that workbook {' and '.join(differs)}. "
            f"Remove that sheet or correct one of the two, unless that is wanted"
        )


def _rows(
    lines: Sequence[Line], row_of: Callable[[Line], SheetRow]
) -> Iterator[SheetRow]:
    for line in lines:
        with contextlib.suppress(JmerError):  # of a sheet that is not read
            row = row_of(line)
            if row.subject and row.clip:
                yield row


def _difference(mine: SheetRow, other: SheetRow) -> str:
    """What the first is there and in the other sheet; nothing if they agree."""
    for name in FIELDS:
        one, two = getattr(mine, name), getattr(other, name)
        if one != two:
            return f"{name} {one or 'empty'}, there {two or 'empty'}"
    for name, one in mine.labels.items():
        two = other.labels.get(name, "")
        if one != two:
            return f"{name} {one or 'empty'}, there {two or 'empty'}"
    return ""
