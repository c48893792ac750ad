"""No cell that jmer writes is a formula, and all of them read back as they were."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmer.audit.rows import read_rows
from jmer.errors import JmerError
from jmer.files import cells
from jmer.files.cells import as_it_was, csv_text, harmless
from jmer.scores.predictions import Predictions

LETTERS = "'= +-@\t\r\nax5.,;\"＝e\x00é"
NAMES = st.text(st.sampled_from(LETTERS), max_size=6)
FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "＝1",
]


@given(NAMES, NAMES)
def test_cells_are_no_formulas_and_come_back(name, other):
    written = harmless(name)
    assert as_it_was(written) == name
    assert (written == harmless(other)) == (name == other)
    assert written[:1] not in (*"=@\t\r\n＝",)
    if written[:1] in ("+", "-"):
        float(written)


@pytest.mark.parametrize("cell", FORMULAS)
def test_formulas_stand_behind_an_apostrophe(cell):
    assert harmless(cell) == f"'{cell}"
    assert harmless(f"'{cell}") == f"''{cell}"


@pytest.mark.parametrize(
    "cell", ["-0.5", "+1", "-1e-05", "it's", "'quoted'", "sub01", "", -0.5, -3, None]
)
def test_numbers_and_names_stay(cell):
    assert harmless(cell) == cell and type(harmless(cell)) is type(cell)


@given(st.lists(st.tuples(NAMES, NAMES, st.just("end")), max_size=5))
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_tables_come_back(end, rows):
    text = io.StringIO(csv_text(rows, end), newline="")
    found = [tuple(map(as_it_was, row)) for row in csv.reader(text, strict=True)]
    assert found == rows


def predictions(names: list[str]) -> Predictions:
    n = len(names)
    text, zeros = np.array(names), np.zeros(n, int)
    return Predictions(
        classes=("=negative", "'=positive"),
        dataset=text, subject=text, clip=text, fold=text, seed=zeros, variant=zeros,
        label=zeros, predicted=np.ones(n, int),
        probabilities=np.tile(np.float32([0.25, 0.75]), (n, 1)),
    )  # fmt: skip


def test_predictions_of_hostile_names_come_back(tmp_path):
    made = predictions([*FORMULAS, "'=1", "-5", "plain"])
    made.save(tmp_path / "p.csv")
    found = Predictions.load(tmp_path / "p.csv")
    assert found.classes == made.classes and found.names == made.names
    with (tmp_path / "p.csv").open(newline="") as file:
        every = [cell for row in csv.reader(file) for cell in row]
    assert not [c for c in every if c.startswith(("=", "@", "\t", "\r")) or c == "-2+3"]
    rows = read_rows(tmp_path / "p.csv", ["subject", "label"])
    assert rows[0].text("subject") == "=1+1" and rows[0].text("label") == "=negative"


def test_tables_of_older_versions_are_read_as_they_are(tmp_path):
    made = predictions(["=1+1", "@x", "'plain'"])
    made.save(tmp_path / "p.csv")
    old = (tmp_path / "p.csv").read_bytes().replace(b"'=1+1", b"=1+1")
    (tmp_path / "p.csv").write_bytes(old.replace(b"'@x", b"@x"))
    assert Predictions.load(tmp_path / "p.csv").names == made.names


def test_a_line_that_never_ends_is_not_read(tmp_path):
    file = tmp_path / "p.csv"
    predictions(["a"]).save(file)
    with file.open("ab") as opened:
        opened.truncate(10**11)  # of zeros, which take no room on the disk
    with pytest.raises(JmerError, match=f"line of {cells.MOST_LINE} letters"):
        Predictions.load(file)
