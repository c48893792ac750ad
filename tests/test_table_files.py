"""Tables as spreadsheets and other programs save them: one content, many files."""

import csv
import io

import openpyxl
import pytest
import xlwt

from data_builders.sheet_files import choices, fits
from data_builders.sheets import read_table
from jmer.audit.foreign import audit_predictions
from jmer.audit.lists import audit_lists
from jmer.data.tables import read_tables, streamed
from jmer.errors import JmerError

ROWS = [
    ["Subject", "Filename", "Onset", "Emotion", "AU"],
    ["sub01", "été", "46", "joy", "4,11"],
    ["sub02", "b", "9", "fear", "12"],
]
COLUMNS = {n: (n,) for n in ("Subject", "Filename", "Onset", "Emotion", "AU")}


def text(rows=ROWS, delimiter=",", end="\r\n"):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return file.getvalue()


def workbook(rows=ROWS):
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def old_workbook(rows=ROWS):
    book, file = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Sheet1")
    for i, row in enumerate(rows):
        for k, cell in enumerate(row):
            sheet.write(i, k, cell)
    book.save(file)
    return file.getvalue()


FILES = {
    "t.csv": text().encode(),
    "semicolons.csv": text(delimiter=";").encode("utf-8-sig"),
    "tabs.csv": text(delimiter="\t").encode(),
    "tabs.xls": text(delimiter="\t").encode("utf-16"),  # Excel's "Unicode text"
    "little.csv": text().encode("utf-16-le"),
    "big.csv": text(delimiter=";").encode("utf-16-be"),
    "utf32.csv": text().encode("utf-32"),
    "western.csv": text(delimiter=";").encode("cp1252"),
    "old_mac.csv": text(end="\r").encode(),
    "excel.csv": b"sep=;\r\n" + text(delimiter=";").encode(),
    "new.xls": workbook(),
    "old.xlsx": old_workbook(),
    "t.xlsx": workbook(),
    "t.tsv": text(delimiter="\t").encode(),
    "T.XLSX": workbook(),
    "notes.csv": ("coded by two\nin 2014\n\n" + text(delimiter=";")).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_one_content_in_many_files(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    lines = read_table(path, COLUMNS)
    assert [list(line.values.values()) for line in lines] == ROWS[1:]


def test_chinese_text(tmp_path):
    rows = [["Subject", "编码"], ["sub01", "惊讶，4"], ["sub02", "悲伤"]]
    path = tmp_path / "t.csv"
    path.write_bytes(text(rows).encode("gbk"))
    assert read_tables(path)[0].rows == rows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"it is empty\): restore"),
        (b"<html><table><tr><td>Subject</td></tr></table></html>", "a web page or XML"),
        (b'<?xml version="1.0"?><Workbook></Workbook>', "save it as .xlsx"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "it is no workbook"),
        (b"PK\x03\x04 and no more", "restore the file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(60), "restore the file"),
        (b"%PDF-1.7 a sheet, printed", "no row that names|no workbook"),
        (b'Subject,Filename,Onset,Emotion,AU\nsub01,"a,1,joy,4\n', "quotes around a c"),
    ],
)
@pytest.mark.parametrize("ending", ["xls", "xlsx", "csv"])
def test_what_is_no_table(content, words, ending, tmp_path):
    path = tmp_path / f"t.{ending}"
    path.write_bytes(content)
    if ending == "csv" and b"PNG" in content:
        words = "save it as UTF-8"
    with pytest.raises(JmerError, match=rf"{path}.*({words})"):
        read_table(path, COLUMNS)


def test_numbers_as_other_programs_write_them(tmp_path):
    rows = [["Clip", "Onset", "X"], ["1.0", "46.00", "12,5"], ["R12", "1.5", "-3,0"]]
    path, columns = tmp_path / "t.csv", {n: (n,) for n in ("Clip", "Onset", "X")}
    path.write_text(text(rows, ";"))
    lines = read_table(path, columns, numbers=["X"])
    assert [list(line.values.values()) for line in lines] == [
        ["1", "46", "12.5"],
        ["R12", "1.5", "-3.0"],
    ]
    path.write_text(text(rows))  # where a comma separates, it is no decimal point
    assert read_table(path, columns, numbers=["X"])[0].values["X"] == "12,5"


def test_merged_names_and_hidden_rows(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Subject", "Clip", "Frames", None, None, "Emotion"])
    sheet.append([None, None, "Onset", "Apex", "Offset"])
    for span in ("A1:A2", "B1:B2", "C1:E1", "F1:F2"):
        sheet.merge_cells(span)
    sheet.append(["sub01", "a", 1, 2, 3, "joy"])
    sheet.append(["sub02", "b", 4, 5, 6, "joy"])
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["D"].hidden = True
    book.save(tmp_path / "t.xlsx")
    names = ("Subject", "Clip", "Onset", "Apex", "Offset", "Emotion")
    lines = read_table(tmp_path / "t.xlsx", {n: (n,) for n in names})
    assert [line.values["Apex"] for line in lines] == ["2", "5"]
    assert lines[0].where.endswith("row 3")


def test_what_a_header_lacks_is_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Subject,File,Onset,Emotion,AU\nsub01,a,1,joy,4\n")
    with pytest.raises(JmerError, match=r"Row 1 lacks Filename\. Restore"):
        read_table(path, COLUMNS)


@pytest.mark.parametrize(
    ("name", "fit"),
    [
        ("SAMM_Micro_FACS_Codes_v2.xlsx", True),
        ("SAMM_20181215_Micro_FACS_Codes_v2.xlsx", True),
        ("samm_2018-12-15_micro_facs_codes_v2 (1).xlsx", True),
        ("SAMM_Micro_FACS_Codes_v2 - Kopie.xlsx", True),
        ("Copy of SAMM_Micro_FACS_Codes_v2.xlsx", True),
        ("SAMM_1234567890_Micro_FACS_Codes_v2.xlsx", False),
        ("SAMM_LongVideos_V1_Release.xlsx", False),
    ],
)
def test_names_of_sheets_with_dates_and_copies(name, fit):
    assert fits(name, ["SAMM_Micro_FACS_Codes*.xlsx"]) == fit


def test_each_chosen_name_goes_to_its_sheet():
    roles = [["Long*.xlsx"], ["Micro*.xlsx"]]
    assert choices("", roles) == ["", ""]
    assert choices("Micro_2018.xlsx", roles) == ["", "Micro_2018.xlsx"]
    assert choices("sub/Micro.xlsx,mine.csv", roles) == ["mine.csv", "sub/Micro.xlsx"]
    assert choices("a,b.xlsx", roles[:1]) == ["a,b.xlsx"]


PREDICTIONS = [["Subject", "Clip", "Label", "Predicted"]] + [
    [f"s{i // 3}", f"c{i}", "joy" if i % 2 else "fear", "joy"] for i in range(12)
]


@pytest.mark.parametrize("name", ["p.xlsx", "p.xls", "p.csv", "p16.csv", "p.tsv"])
def test_the_audit_reads_the_same_tables(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(
        {
            "p.xlsx": workbook(PREDICTIONS),
            "p.xls": workbook(PREDICTIONS),
            "p.csv": text([*PREDICTIONS, ["", "", "", ""]], ";").encode("cp1252"),
            "p16.csv": text(PREDICTIONS, "\t").encode("utf-16"),
            "p.tsv": text(PREDICTIONS, "\t").encode(),
        }[name]
    )
    assert audit_predictions(path).about[0].startswith("12 predictions, 4 folds")


def test_the_audit_reads_lists_of_workbooks(tmp_path):
    def save(name, rows):
        (tmp_path / name).write_bytes(workbook([["Subject", "Clip", "Label"], *rows]))

    save("train_fold_1.xlsx", [["s1", "a", "joy"]])
    save("test_fold_1.xlsx", [["s2", "b", "joy"]])
    (tmp_path / "~$test_fold_1.xlsx").write_bytes(b"\0user")  # while Excel has it open
    assert audit_lists(tmp_path).about[0].startswith("1 fold, 2 clips")


def test_several_sheets_of_predictions(tmp_path):
    book = openpyxl.Workbook()
    for sheet in (book.active, book.create_sheet("again")):
        for row in PREDICTIONS:
            sheet.append(row)
    book.create_sheet("notes").append(["coded by two"])
    book.save(tmp_path / "p.xlsx")
    with pytest.raises(
        JmerError, match=r"sheets Sheet, again all have .* Save the one"
    ):
        audit_predictions(tmp_path / "p.xlsx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gbk", "cp1252"])
def test_long_tables_are_read_line_by_line(encoding, tmp_path):
    odd = {"gbk": "惊讶", "cp1252": "é"}.get(encoding, "ü")
    rows = [["emotion", "pixels"], *([odd, f"{i} " * 40] for i in range(9000))]
    (tmp_path / "t.csv").write_bytes(text(rows, ";").encode(encoding))
    found = list(streamed(tmp_path / "t.csv"))
    assert [line for line, _ in found] == list(range(1, 9002))
    assert [row for _, row in found] == [[c.strip() for c in row] for row in rows]
