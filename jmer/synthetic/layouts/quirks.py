"""Irregularities that more than one published data set shows."""

from jmer.synthetic.layouts.draft import Book, Cells, Draft, Take

JUNK = b"\0\0\0\1Bud1\0"


def leave_remains(draft: Draft) -> None:
    """Files of file managers, hidden twins of frames, and the lock of a spreadsheet."""
    for take in draft.takes[:2]:
        for images in take.images.values():
            frame = images.pattern.format(n=images.first).rsplit("/", 1)[1]
            draft.files[f"{images.folder}/Thumbs.db"] = JUNK
            draft.files[f"{images.folder}/.DS_Store"] = JUNK
            draft.files[f"{images.folder}/._{frame}"] = JUNK
    draft.files[".DS_Store"] = JUNK
    draft.quirks.append(".DS_Store, Thumbs.db and ._ files lie among the frames")
    for book in draft.books:
        folder, _, name = book.path.rpartition("/")
        lock = f"{folder}/~${name}" if folder else f"~${name}"
        draft.files[lock] = JUNK
        draft.quirks.append(f"the lock file {lock} was left behind")


def add_junk_sheets(draft: Draft, *titles: str) -> None:
    """Other sheets before the one of the annotation."""
    for book in draft.books:
        junk: dict[str, list[Cells]] = {t: [["Sum", 3], [None, 4]] for t in titles}
        book.sheets = {**junk, **book.sheets}
    draft.quirks.append(f"sheets {', '.join(titles)} hold something else")


def untidy(draft: Draft, rows: list[Cells], header_row: int = 0) -> None:
    """Stray blanks and capitals in a header, columns without a name, empty rows."""
    header = rows[header_row]
    named = [i for i, cell in enumerate(header) if cell]
    header[named[1]] = f" {header[named[1]]}"
    header[named[-2]] = f"{header[named[-2]]}  "
    header[named[-1]] = str(header[named[-1]]).upper()
    header.extend([None, " "])
    draft.quirks.append("blanks and capitals in the header, columns without a name")
    insert_blanks(draft, rows, header_row + 3, len(rows))


def insert_blanks(draft: Draft, rows: list[Cells], *places: int) -> None:
    """Empty rows, in place."""
    for place in sorted(places, reverse=True):
        rows.insert(place, [None, None])
    draft.quirks.append("empty rows")


def lose_frame(take: Take, number: int, *sources: str) -> None:
    """One frame has no file; a check must say so."""
    for source in sources:
        take.images[source].missing.append(number)
    take.quirks.append(f"frame {number} is missing ({', '.join(sources)})")
    take.problems.append(f"lacks 1 of {take.offset - take.onset + 1} frames ({number})")


def rename_ending(take: Take, ending: str) -> None:
    """Another ending of all frames, and with it another format."""
    for images in take.images.values():
        images.pattern = f"{images.pattern.rsplit('.', 1)[0]}.{ending}"
    take.quirks.append(f"frames end in .{ending}")


def spoil_text(take: Take, *columns: int) -> None:
    """Blanks around a cell and capital letters in it, which mean nothing."""
    for column in columns:
        take.cells[column] = f" {str(take.cells[column]).capitalize()} "
    take.quirks.append("blanks and capitals in cells")


def as_text(take: Take, *columns: int) -> None:
    """Numbers that are stored as text."""
    for column in columns:
        take.cells[column] = str(take.cells[column])
    take.quirks.append("numbers are stored as text")


def one_sheet(path: str, title: str, header: Cells, takes: list[Take]) -> list[Book]:
    """A workbook with one sheet, which names its columns in the first row."""
    return [Book(path, {title: [header, *(take.cells for take in takes)]})]
