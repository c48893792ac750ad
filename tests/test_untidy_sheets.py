"""What people do to the sheets of real sets: read right, or one clear error."""

from dataclasses import replace
from typing import ClassVar

import openpyxl
import pytest
from downloads import COLUMNS, write
from openpyxl.styles import Font

from data_builders.annotation import by_row, correct
from jmer.data import check
from jmer.data.maker import builder_of

SETS = ["casme2", "mmew"]


class Sheet:
    """The sheet of a tree, open in a spreadsheet program."""

    def __init__(self, name, folder):
        self.tree = write(name, folder)
        self.book = openpyxl.load_workbook(self.tree.table)
        self.top = self.tree.top
        first = [c for c in self.tree.takes[0].cells if c is not None][:3]
        self.sheet = next(
            sheet
            for sheet in self.book.worksheets
            if any([*row[:3]] == first for row in sheet.iter_rows(values_only=True))
            or any([*row[:2]] == first[:2] for row in sheet.iter_rows(values_only=True))
        )

    def cell(self, column, row=1):
        at = {"subject": 0, "clip": 1, **COLUMNS[self.tree.name]}[column]
        return self.sheet.cell(self.top + row, at + 1)

    @property
    def rows(self):
        return range(1, self.sheet.max_row - self.top + 1)

    def clips(self):
        """What is read: of each clip its frames and label."""
        self.book.save(self.tree.table)
        found = builder_of(self.tree.config).survey
        assert found.problems == []
        clips = found.clips
        return {c.row.key: (c.onset, c.apex, c.offset, c.label) for c in clips}

    def problems(self):
        self.book.save(self.tree.table)
        return builder_of(self.tree.config).problems()


def rows_between(it):
    it.sheet.insert_rows(it.top + 3, 2)


def hidden_filtered_and_struck(it):
    it.sheet.row_dimensions[it.top + 2].hidden = True
    it.sheet.column_dimensions["E"].hidden = True
    it.sheet.auto_filter.ref = it.sheet.dimensions
    it.cell("clip").font = Font(strike=True)


def numbers_as_text(it):
    for row in it.rows:
        for name in ("onset", "apex", "offset"):
            it.cell(name, row).value = f" {it.cell(name, row).value}\xa0"


def signs_that_nobody_sees(it):
    for name in ("subject", "clip", "onset", "emotion"):
        it.cell(name).value = f"\u200b{it.cell(name).value}\u2009\ufeff"
    for column in range(1, it.sheet.max_column + 1):
        head = it.sheet.cell(it.top, column)
        head.value = f"\xa0{head.value}\u200b" if head.value else head.value


def emotions_in_capitals(it):
    it.cell("emotion").value = f" {it.cell('emotion').value.upper()}\xa0 "


def notes_below(it):
    it.sheet.append([])
    it.sheet.append(["* coded by two"])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    "edit",
    [rows_between, hidden_filtered_and_struck, numbers_as_text,
     signs_that_nobody_sees, emotions_in_capitals, notes_below],
)  # fmt: skip
def test_what_changes_nothing(name, edit, tmp_path):
    it = Sheet(name, tmp_path)
    before = it.clips()
    edit(it)
    assert it.clips() == before


def doubled(it):
    it.sheet.append([cell.value for cell in it.sheet[it.top + 1]])


def header_again(it):
    it.sheet.insert_rows(it.top + 3)
    for column in range(1, it.sheet.max_column + 1):
        it.sheet.cell(it.top + 3, column, it.sheet.cell(it.top, column).value)


def put(column, value):
    def edit(it):
        cell = it.cell(column)
        cell.value = value(it) if callable(value) else value

    return edit


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("onset", lambda it: it.cell("apex").value + 1), "are out of order"),
        (put("apex", lambda it: it.cell("offset").value + 1), "are out of order"),
        (put("apex", 0), "are out of order"),
        (put("offset", 0), "are out of order"),
        (put("onset", 0), "begins with frame 0"),
        (put("offset", "/"), "is no frame number"),
        (put("onset", "1,046"), "is no frame number"),
        (put("onset", "3.5"), "is no frame number"),
        (put("apex", "#REF!"), "is no frame number"),
        (put("emotion", "happy"), "unknown emotion"),
        (put("subject", None), "subject or clip is empty"),
        (doubled, "duplicate clip"),
        (header_again, "subject or clip is empty"),
    ],
)
def test_what_is_one_clear_error(name, edit, words, tmp_path):
    it = Sheet(name, tmp_path)
    edit(it)
    (problem,) = it.problems()
    assert words in problem and str(it.tree.table) in problem and ", row " in problem


def test_merged_cells_are_named(tmp_path):
    it = Sheet("casme2", tmp_path)
    at = it.cell("emotion")
    it.sheet.merge_cells(
        start_row=at.row, end_row=at.row + 1,
        start_column=at.column, end_column=at.column,
    )  # fmt: skip
    (problem,) = it.problems()
    assert f"row {at.row + 1}: unknown emotion ''" in problem


def test_onset_0_is_refused_where_neighbours_may_stand_in(tmp_path):
    it = Sheet("casme2", tmp_path)
    it.cell("onset").value = 0
    it.book.save(it.tree.table)
    lenient = type(it.tree.config)(
        manual_dir=it.tree.root, data_dir=tmp_path, missing_frames="neighbour"
    )
    assert "begins with frame 0" in builder_of(lenient).problems()[0]


# Changes of a copy of the sheet, and what is said of it.
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda cell: cell("onset").value - 1, "onset 48, there 47"),
        (lambda cell: None, "onset 48, there empty"),
    ],
)
def test_a_second_sheet_that_disagrees_is_told_of(edit, words, tmp_path):
    it = Sheet("casme2", tmp_path)
    other = it.book.copy_worksheet(it.sheet)
    other.title = "Recoded"
    assert it.clips()
    assert "Recoded" not in check(it.tree.config)[1]  # it says the same
    at = it.cell("onset")
    other.cell(at.row, at.column).value = edit(it.cell)
    before = it.clips()
    said = check(it.tree.config)[1]
    assert f"{it.tree.table}, sheet Sheet1 is read; sheet Recoded" in said
    assert f"says otherwise of 1 clips: sub01/EP02_02f ({words})" in said
    assert it.clips() == before


def test_a_second_sheet_of_other_emotions_or_fewer_clips(tmp_path):
    it = Sheet("casme2", tmp_path)
    other = it.book.copy_worksheet(it.sheet)
    at = it.cell("emotion", 2)
    other.cell(at.row, at.column).value = "fear"
    other.delete_rows(it.top + 1)
    it.book.save(it.tree.table)
    said = check(it.tree.config)[1]
    assert "there fear" in said and "has or lacks 1 clips" in said


def test_corrections_by_row_meet_no_sheet_that_was_sorted(tmp_path):
    it = Sheet("casme2", tmp_path)

    class Builder(type(builder_of(it.tree.config))):
        corrections = by_row(8, "apex", {2: 1, 3: 2})
        known_rows: ClassVar = {}

    def changes(order):
        made = builder_of(it.tree.config)
        made.__class__ = Builder
        rows = made.rows()
        Builder.known_rows = {2: rows[2].key, 3: rows[3].key, 99: ("s", "c")}
        rows = [replace(rows[at], number=i) for i, at in enumerate(order)]
        allowed = made.corrections_of(rows)
        return correct(rows, allowed)[1], made.sorted_anew

    made, said = changes(range(8))
    assert len(made) == 2 and said == ""
    made, said = changes([7, *range(7)])
    assert made == [] and "It was sorted" in said and "row 3:" in said
    made, said = changes(range(7))  # of another length, none is made
    assert made == [] and said == ""
