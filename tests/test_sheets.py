"""The same annotation as .xlsx, .xls and .csv."""

import csv
import dataclasses

import pytest
import xlwt
from downloads import COLUMNS, write

from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import JmerError

FORMATS = ("xls", "csv")


def save(path, sheets):
    """Rows by the name of their sheet, in the format that the ending names."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows(rows := next(iter(sheets.values())))
        assert rows
        return
    book = xlwt.Workbook()
    for title, rows in sheets.items():
        sheet = book.add_sheet(title)
        for i, row in enumerate(rows):
            for k, cell in enumerate(row):
                if cell is not None:
                    sheet.write(i, k, cell)
    book.save(str(path))


def resaved(tree, ending):
    """The configuration of a tree whose sheet is in another format alone."""
    book = tree.draft.books[0]
    sheets = book.sheets
    if ending == "csv":
        sheets = {"": tree.rows}
    name = f"annotation.{ending}"
    save(tree.root / name, sheets)
    tree.table.unlink()
    return dataclasses.replace(tree.config, table=name)


def said(config):
    """All that the rows say; not where it stands."""
    return [dataclasses.replace(row, where="") for row in builder_of(config).rows()]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("quirks", [False, True])
@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_sheets_say_the_same_in_every_format(name, quirks, ending, tmp_path):
    tree = write(name, tmp_path, quirks=quirks)
    before = said(tree.config)
    assert len(before) >= len(tree.takes)
    assert said(resaved(tree, ending)) == before


@pytest.mark.parametrize("ending", FORMATS)
def test_a_set_is_loaded_from_every_format(ending, tmp_path):
    tree = write("casme2", tmp_path, modality="apex-flow", size=8)
    before = load(tree.config).fingerprint
    assert load(resaved(tree, ending)).fingerprint == before


@pytest.mark.parametrize("name", ["casme2", "mmew"])
def test_an_xls_sheet_is_found_by_its_name(name, tmp_path):
    tree = write(name, tmp_path)
    save(tree.table.with_suffix(".xls"), tree.draft.books[0].sheets)
    with pytest.raises(JmerError, match=r"2 annotation sheets in .*\.xls, .*\.xlsx"):
        check(tree.config)
    tree.table.unlink()
    assert not check(tree.config)[0]


def test_a_damaged_xls_sheet(tmp_path):
    config = resaved(tree := write("casme2", tmp_path), "xls")
    path = tree.root / "annotation.xls"
    for content in (path.read_bytes()[:3000], b"", b"\0" * 5000):
        path.write_bytes(content)
        with pytest.raises(JmerError, match=r"cannot read .*annotation\.xls"):
            check(config)
