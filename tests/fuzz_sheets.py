"""Damages of annotation sheets, as people and programs do them."""

import copy
import datetime
import fnmatch
import io
import shutil
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
from fuzz_part import Chance, Change, Part, found

from jmer.synthetic.layouts.draft import Cells

NASTY = (
    *(None, "", " ", "/", "-", "?", 0, -1, -7, 1.5, 1e9, 1e300, 10**9, 2**63, True),
    *("1e9", "1e3", "9" * 40, "9" * 5000, "nan", "inf", "0x10", "+5", "1_000", "1,5"),
    *("1.0", "-1", "٣", "１２", "²", "½", "IV", "4,11", "x" * 30_000, "1 2", "0012"),
    *("sub01", "s1", "s 1", "sub1.5", "006", "EP02_01f", "../..", "..", "a/b"),
    *(".", "*"),
    *("名前", "Ünïcode", "🙂", "\ufeff1", "\xa01", "1\u200b", "=1+1", "#REF!", "#N/A"),
    *("'46", '"', ";", "surprise", "Surprise ", "ＳＵＲＰＲＩＳＥ", "joy"),
    *("macro", "none"),
    *("1+2", "L4 or 5", "4+99", "AU", "[", "\\", "%s", "{0}"),
    *(datetime.date(2014, 5, 8), datetime.datetime(2014, 5, 8, 3, 4)),
    *(datetime.time(3, 4), unicodedata.normalize("NFD", "é")),
)
# What no workbook can hold.
RAW = ("\x00", "1\x00", "a\nb", "\r\n", 'a"b', "y" * 140_000, "\x1b[31m")


def _data_rows(part: Part) -> list[int]:
    return [i for i in range(part.top, len(part.rows)) if any(part.rows[i])]


def _row(case: Chance, part: Part) -> int:
    """Of a clip; where there is none any more, of anything."""
    rows = _data_rows(part) or range(len(part.rows))
    if not len(rows):
        part.rows.append([None] * 9)
        rows = [len(part.rows) - 1]
    return case.pick(rows)


def _own(part: Part, i: int, width: int = 0) -> Cells:
    """A row that no longer is that of the clip, so that it may be changed."""
    part.rows[i] = [*part.rows[i], *[None] * (width - len(part.rows[i]))]
    return part.rows[i]


def _header(part: Part) -> int | None:
    if part.builder.positions:
        return None
    hits = [i for i, row in enumerate(part.rows) if len(found(part, row)) >= 4]
    return hits[0] if hits else None


def cell(case: Chance, part: Part) -> str:
    i, column = _row(case, part), case.pick(sorted(part.columns))
    raw = part.format == "csv" and case.chance(0.2)
    value = case.pick(RAW if raw else NASTY)
    _own(part, i, 1 + part.columns[column])[part.columns[column]] = value
    return f"row {i + 1}, {column}: {str(value)[:40]!r}"


def any_cell(case: Chance, part: Part) -> str:
    i = int(case.rng.integers(max(1, len(part.rows))))
    i = min(i, len(part.rows) - 1) if part.rows else _row(case, part)
    value, k = case.pick(NASTY), int(case.rng.integers(14))
    _own(part, i, k + 1)[k] = value
    return f"row {i + 1}, cell {k + 1}: {str(value)[:40]!r}"


def number(case: Chance, part: Part) -> str:
    i, column = _row(case, part), case.pick(("onset", "apex", "offset", "subject"))
    k = part.columns[column]
    row = _own(part, i, k + 1)
    try:
        value = int(row[k])
    except (TypeError, ValueError):
        value = 3
    numbers = (value + 1, value - 1, value * 10, value + 1000, value + 0.5)
    texts = (str(value), f"0{value}", f"{value}.0", f"{value} ")
    row[k] = case.pick((*numbers, float(value), *texts))
    return f"row {i + 1}, {column}: {value} -> {row[k]!r}"


def cell_of_another_row(case: Chance, part: Part) -> str:
    i, j, column = _row(case, part), _row(case, part), case.pick(sorted(part.columns))
    k = part.columns[column]
    _own(part, i, k + 1)[k] = _own(part, j, k + 1)[k]
    return f"row {i + 1}, {column}: as in row {j + 1}"


def cells_swapped(case: Chance, part: Part) -> str:
    first, second = (case.pick(sorted(part.columns)) for _ in "ab")
    i, a, b = _row(case, part), part.columns[first], part.columns[second]
    row = _own(part, i, max(a, b) + 1)
    row[a], row[b] = row[b], row[a]
    return f"row {i + 1}: {first} <-> {second}"


def column_of_another_type(case: Chance, part: Part) -> str:
    k, kind = part.columns[case.pick(("subject", "onset", "offset"))], case.pick("sf")
    for i in _data_rows(part):
        row = _own(part, i, k + 1)
        try:
            row[k] = str(row[k]) if kind == "s" else float(row[k])
        except (TypeError, ValueError):
            continue
    return f"column {k + 1} {'text' if kind == 's' else 'floating'}"


def columns_swapped(case: Chance, part: Part) -> str:
    first, second = (case.pick(sorted(part.columns)) for _ in "ab")
    a, b = part.columns[first], part.columns[second]
    for i in range(len(part.rows)):
        row = _own(part, i, max(a, b) + 1)
        row[a], row[b] = row[b], row[a]
    return f"{first} <-> {second} with all cells"


def names_swapped(case: Chance, part: Part) -> str:
    top = _header(part)
    first, second = (case.pick(sorted(part.columns)) for _ in "ab")
    if top is None:
        return "no header"
    a, b = part.columns[first], part.columns[second]
    row = _own(part, top, max(a, b) + 1)
    row[a], row[b] = row[b], row[a]
    return f"names of {first} <-> {second}"


def name_changed(case: Chance, part: Part) -> str:
    top, column = _header(part), case.pick(sorted(part.columns))
    if top is None:
        return "no header"
    k = part.columns[column]
    row = _own(part, top, k + 1)
    now = f"{row[k]}"
    row[k] = case.pick(
        (
            *(None, "", "Name", "名前", now.upper(), f" {now} ", now.replace("e", "é")),
            *(f"{now}.1", "#REF!", 7, f"{now}\xa0", "_".join(now), "Filename", "Onset"),
        )
    )
    return f"{column} is called {row[k]!r}"


def name_twice(case: Chance, part: Part) -> str:
    top, column = _header(part), case.pick(sorted(part.columns))
    if top is None:
        return "no header"
    row, k = _own(part, top, 15), int(case.rng.integers(15))
    row[k] = row[part.columns[column]]
    return f"{column} in column {k + 1}, too"


def row_twice(case: Chance, part: Part) -> str:
    i = _row(case, part)
    again = list(part.rows[i])
    k = part.columns["clip"]
    if case.chance(0.4) and len(again) > k and again[k]:
        again[k] = str(again[k]).swapcase()
    part.rows.insert(case.pick((i + 1, len(part.rows))), again)
    return f"row {i + 1}"


def row_removed(case: Chance, part: Part) -> str:
    i = _row(case, part)
    del part.rows[i]
    return f"row {i + 1}"


def all_rows_removed(case: Chance, part: Part) -> str:
    del part.rows[part.top :]
    return ""


def header_removed(case: Chance, part: Part) -> str:
    top = _header(part)
    if top is not None:
        del part.rows[top]
    return ""


def blank_rows(case: Chance, part: Part) -> str:
    i, count = int(case.rng.integers(len(part.rows) + 1)), case.pick((1, 2, 700))
    part.rows[i:i] = [case.pick(([], [None] * 5, [" "])) for _ in range(count)]
    return f"{count} before row {i + 1}"


def notes_above(case: Chance, part: Part) -> str:
    if part.builder.positions:
        return "would be rows"
    part.rows[0:0] = [["coded by two"], [], [None, "v2", 3]]
    return ""


def header_among_rows(case: Chance, part: Part) -> str:
    top = _header(part)
    if top is None or not part.rows[top + 1 :]:
        return "no header"
    row = part.rows[top] if case.chance(0.5) else part.rows.pop(top)
    i = int(case.rng.integers(top, len(part.rows) + 1))
    part.rows.insert(i, list(row))
    return f"in row {i + 1}"


def sorted_with_header(case: Chance, part: Part) -> str:
    rows = [row for row in part.rows if any(row)]
    part.rows[:] = sorted(rows, key=lambda row: str(row[0]), reverse=case.chance(0.5))
    return ""


def rows_beyond(case: Chance, part: Part) -> str:
    part.rows.extend([] for _ in range(case.pick((1, 3000))))
    part.rows.append([None] * case.pick((14, 300)) + ["checked"])
    if case.chance(0.3):
        part.rows.append(["total", None, 8])
    return f"up to row {len(part.rows)}"


def sums_below(case: Chance, part: Part) -> str:
    k = part.columns["subject"]
    for words in ("Total", "8 clips", "of 3")[: case.pick((1, 2, 3))]:
        part.rows.append([None] * k + [words])
    return "below the clips"


def merged(case: Chance, part: Part) -> str:
    if part.format == "csv" or len(_data_rows(part)) < 2:
        return "nothing to merge"
    i = case.pick(_data_rows(part)[:-1])
    k = part.columns[case.pick(("subject", "clip"))]
    letter = "ABCDEFGHIJKLMN"[k]
    _own(part, i + 1, k + 1)[k] = None
    part.merged.append((letter, part.rows[i], part.rows[i + 1]))
    # Merging a row twice is nothing that a program allows.
    part.merged = part.merged[:1]
    return f"rows {i + 1} and {i + 2}, column {k + 1}"


def sheet_renamed(case: Chance, part: Part) -> str:
    sheets = part.workbook.sheets
    title = next(t for t, rows in sheets.items() if rows is part.rows)
    new = case.pick(("Sheet 7", "Tabelle1", "名前", "x" * 31, title.upper()[:30] + "_"))
    items = [(new if t == title else t, rows) for t, rows in sheets.items()]
    part.workbook.sheets = dict(items)
    return new


def sheet_twice(case: Chance, part: Part) -> str:
    new, old = case.pick(("Copy", "Ａ", "zz")), list(part.workbook.sheets.items())
    copied = copy.deepcopy(part.rows)
    items = [(new, copied), *old] if case.chance(0.5) else [*old, (new, copied)]
    part.workbook.sheets = dict(items)
    return new


def sheet_empty_first(case: Chance, part: Part) -> str:
    part.workbook.sheets = {"Empty": [], **part.workbook.sheets}
    return ""


def sheet_lost(case: Chance, part: Part) -> str:
    title = next(t for t, rows in part.workbook.sheets.items() if rows is part.rows)
    part.rows = []
    part.workbook.sheets[title] = part.rows
    return title


def as_csv_of_a_program(case: Chance, part: Part) -> str:
    part.format = "csv"
    part.encoding = case.pick(
        ("utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "gbk", "utf-8")
    )
    part.delimiter = case.pick((",", ",", ";", "\t"))
    return f"{part.encoding} {part.delimiter!r}"


def bytes_cut(case: Chance, part: Part) -> str:
    share = case.rng.random()

    def cut(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return _spoil(part, cut, f"{share:.2f} is left")


def bytes_zeroed(case: Chance, part: Part) -> str:
    at, length = case.rng.random(), case.pick((1, 50, 2000))

    def zero(path: Path) -> None:
        content = bytearray(path.read_bytes())
        start = int(at * len(content))
        content[start : start + length] = bytes(len(content[start : start + length]))
        path.write_bytes(bytes(content))

    return _spoil(part, zero, f"{length} at {at:.2f}")


def bytes_random(case: Chance, part: Part) -> str:
    seed, count = int(case.rng.integers(2**31)), case.pick((1, 10, 300))

    def change(path: Path) -> None:
        rng, content = np.random.default_rng(seed), bytearray(path.read_bytes())
        for _ in range(count if content else 0):
            content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(bytes(content))

    return _spoil(part, change, f"{count}, seed {seed}")


def _spoil(part: Part, change: Change, words: str) -> str:
    part.after.append(change)
    part.doubtful = True
    return words


def _content() -> dict[str, bytes]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "nothing")
    hollow = io.BytesIO()
    with zipfile.ZipFile(hollow, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook>")
    return {
        "nothing": b"",
        "another zip": zipped.getvalue(),
        "a hollow workbook": hollow.getvalue(),
        "a web page": b"<!DOCTYPE html><html><body>sign in</body></html>",
        "a head of .xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "an image": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "NULs": bytes(999),
    }


def something_else(case: Chance, part: Part) -> str:
    contents = _content()
    name = case.pick(sorted(contents))
    part.after.append(lambda path: path.write_bytes(contents[name]))
    part.unreadable = f"the sheet is {name}"
    return name


def table_gone(case: Chance, part: Part) -> str:
    kind = case.pick(("gone", "a folder", "a dangling link", "a loop", "too deep"))

    def change(path: Path) -> None:
        if kind == "too deep":
            (path.parent / "a/b/c").mkdir(parents=True)
            path.rename(path.parent / "a/b/c" / path.name)
            return
        path.unlink()
        if kind == "a folder":
            path.mkdir()
        elif kind == "a dangling link":
            path.symlink_to(path.parent / "nowhere.xlsx")
        elif kind == "a loop":
            path.symlink_to(path)

    part.after.append(change)
    part.unreadable = f"the sheet is {kind}"
    return kind


def table_twice(case: Chance, part: Part) -> str:
    part.after.append(lambda path: shutil.copy(path, part.root / "notes" / path.name))
    part.unreadable = "two sheets"
    return ""


def lock_left(case: Chance, part: Part) -> str:
    part.after.append(lambda p: p.with_name(f"~${p.name}").write_bytes(b"\0user"))
    return ""


def another_ending(case: Chance, part: Part) -> str:
    ending = case.pick((".xls", ".xlsx", ".csv", ".txt", ".XLSX", ".bak"))
    if ending.lower() == part.table.suffix:
        return "the same"
    part.after.append(lambda path: path.rename(path.with_suffix(ending)))
    # What a file is, its content says, if it is found by its name.
    name = part.table.with_suffix(ending).name.lower()
    if any(fnmatch.fnmatch(name, pattern.lower()) for pattern in part.builder.tables):
        return ending
    if part.unreadable == "two sheets":  # the other one may be all that is found
        part.unreadable, part.doubtful = "", True
    else:
        part.unreadable = f"it ends in {ending}"
    return ending


DAMAGES = (
    *(cell, cell, cell, cell, cell, any_cell, any_cell, number, number, number),
    *(cell_of_another_row, cells_swapped, cells_swapped, column_of_another_type),
    *(columns_swapped, names_swapped, name_changed, name_changed, name_twice),
    *(row_twice, row_twice, row_removed, all_rows_removed, header_removed, blank_rows),
    *(notes_above, header_among_rows, sorted_with_header, rows_beyond, merged),
    sums_below,
    *(sheet_renamed, sheet_twice, sheet_empty_first, sheet_lost),
    *(as_csv_of_a_program, as_csv_of_a_program, bytes_cut, bytes_zeroed, bytes_random),
    *(something_else, table_gone, table_twice, lock_left, another_ending),
)
