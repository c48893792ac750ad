"""What is read of a sheet that people have worked on."""

import openpyxl
import pytest

from data_builders.sheets import read_table
from jmer.errors import JmerError


def test_names_of_columns_may_be_untidy(tmp_path):
    book = openpyxl.Workbook()
    for row in (["a note"], [], [None, " ONSET_frame", "File name", ""], [1, 7.0, "x"]):
        book.active.append(row)
    book.active.append([])
    book.active.append([None, 8, " y "])
    book.save(tmp_path / "t.xlsx")
    columns = {"onset": ("OnsetFrame",), "clip": ("Filename",)}
    lines = read_table(tmp_path / "t.xlsx", columns)
    assert [line.values for line in lines] == [
        {"onset": "7", "clip": "x"},
        {"onset": "8", "clip": "y"},
    ]
    assert [line.number for line in lines] == [0, 1]
    assert lines[1].where.endswith("row 6")


def book(path, **sheets):
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


COLUMN = {"clip": ("Filename",), "onset": ("Onset",), "label": ("Emotion",)}
NAMED = ["Filename", "Onset", "Emotion"]
FIRST, SECOND = ["a", 7, "joy"], ["b", 9, "joy"]


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        ({"S": [FIRST, NAMED, SECOND]}, "row 1 stands above .* in row 2, .* Put the n"),
        (
            {"S": [[*NAMED, "onset "], FIRST]},
            "row 1: two columns are called 'Onset'. R",
        ),
        ({"A": [NAMED, FIRST], "B": [NAMED]}, "sheets A, B all have .* ask for a part"),
        ({"S": [["Filename"]], "B": [FIRST]}, "no row that names the needed columns"),
    ],
)
def test_no_row_of_a_sheet_is_passed_over(sheets, words, tmp_path):
    path = book(tmp_path / "t.xlsx", **sheets)
    with pytest.raises(JmerError, match=words) as error:
        read_table(path, COLUMN, sheet="S")
    assert str(path) in str(error.value)


def test_of_several_sheets_one_counts(tmp_path):
    path = book(tmp_path / "t.xlsx", A=[NAMED, FIRST], S=[NAMED, SECOND], C=[["x"]])
    assert read_table(path, COLUMN, sheet="S")[0].values["clip"] == "b"
    path = book(tmp_path / "u.xlsx", C=[["x"]], A=[NAMED, FIRST])
    assert read_table(path, COLUMN, sheet="S")[0].values["clip"] == "a"


def test_a_cell_far_beyond_the_table(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(NAMED)
    made.active.cell(1_048_576, 16_384, "x")
    made.save(tmp_path / "t.xlsx")
    words = "cells as far as column 16384 and row 1048576. Delete what lies beyond"
    with pytest.raises(JmerError, match=words):
        read_table(tmp_path / "t.xlsx", COLUMN)


def test_a_table_in_another_encoding(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Filename,Onset,Emotion\nü,1,joy\n", encoding="latin-1")
    assert read_table(path, COLUMN)[0].values["clip"] == "ü"
    path.write_bytes(b"Filename,Onset,Emotion\n\x81 ,1,joy\n")
    with pytest.raises(JmerError, match=r"cannot read .*t\.csv .*: save it as UTF-8"):
        read_table(path, COLUMN)
