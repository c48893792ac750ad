"""Action units as they are written in sheets, and what they make of a clip."""

import csv
from collections import Counter

import openpyxl
import pytest
from conftest import SHARED
from downloads import write
from hypothesis import given
from hypothesis import strategies as st

from jmer.data import check, load
from jmer.data.facs import (
    OBJECTIVE,
    ActionUnit,
    objective_class,
    parse_action_units,
)
from jmer.errors import JmerError


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("12", "12"),
        ("4+7+6", "4 7 6"),
        (" R12 + R15 ", "R12 R15"),
        ("4,11", "4 11"),
        ("4，11", "4 11"),
        ("5B", "5B"),
        ("R14A", "R14A"),
        ("T18+B23", "T18 B23"),
        ("A12", "A12"),
        ("13?", "13?"),
        ("14or23", "14?"),
        ("1 or 2", "1?"),
        ("(R6 or R12)+R15", "R6? R15"),
        ("10A/B", "10A?"),
        ("A/L12", "A12?"),
        ("4+4", "4"),
        ("AU4 + AD31 + M58", "4 AD31 M58"),
        ("4(k)+12", "12"),
        ("ref(43)", ""),
        ("4+ref(43)", "4"),
        ("soft focus", ""),
        ("NULL", ""),
        ("null", ""),
        ("", ""),
        ("/", ""),
        ("l4+r7c", "L4 R7C"),
    ],
)
def test_units_as_annotators_write_them(text, units):
    assert " ".join(map(str, parse_action_units(text))) == units


def test_every_part_of_a_unit():
    assert parse_action_units("A/R10B/C + AD31?") == (
        ActionUnit(10, side="asymmetric", intensity="B", doubtful=True),
        ActionUnit(31, kind="AD", doubtful=True),
    )


@pytest.mark.parametrize("text", ["smile", "4++x", "4-7", "123", "R", "4F", "1.5"])
def test_what_is_no_unit_is_quoted(text):
    with pytest.raises(ValueError, match="is no action unit"):
        parse_action_units(text)


@given(st.text(max_size=20))
def test_any_text_is_units_or_an_error(text):
    try:
        units = parse_action_units(text)
    except ValueError:
        return
    again = parse_action_units("+".join(map(str, units)))
    assert again == units


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("12+6", "I"),
        ("R2+L1", "II"),
        ("4", "III"),
        ("9+4B", "IV"),
        ("1", "V"),
        ("4+2+1", "VI"),
        ("14", "VII"),
        ("4+AD31", "III"),
        ("", ""),
    ],
)
def test_objective_classes(text, name):
    assert objective_class(parse_action_units(text)) == name


def test_the_classes_of_a_real_sheet_are_those_of_its_units():
    path = SHARED / "labels/casme3_parta.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    found = [objective_class(parse_action_units(row["au"])) for row in rows]
    assert found == [row["objective_class"] for row in rows]
    counts = dict(zip(OBJECTIVE, (15, 151, 234, 37, 47, 3, 373), strict=True))
    assert Counter(found) == counts


# --- in data sets


@pytest.mark.parametrize(
    "name", ["casme", "casme2", "samm", "casme_squared", "casme_cubed"]
)
def test_clips_by_their_action_units(name, tmp_path):
    tree = write(name, tmp_path, classes="aus")
    clips = load(tree.config)
    assert clips.classes == OBJECTIVE
    takes = {t.key: t.take for t in tree.takes}
    assert len(clips) == len(takes)
    for i, key in enumerate(zip(clips.subject, clips.clip_id, strict=True)):
        units = parse_action_units(takes[key].action_units)
        assert clips.classes[clips.label[i]] == objective_class(units)
    rate = {"casme": 60, "casme2": 200, "samm": 200}.get(name, 30)
    assert set(clips.frame_rate) == {rate}


def test_smic_has_a_frame_rate_for_each_part(tmp_path):
    assert set(load(write("smic", tmp_path).config).frame_rate) == {100}


def column(tree):
    return next(
        i for i, cell in enumerate(tree.rows[tree.top - 1]) if "Action" in str(cell)
    )


def test_clips_without_units_are_counted_and_others_named(tmp_path):
    tree = write("casme2", tmp_path, classes="aus")
    units = column(tree)
    tree.takes[0].cells[units] = None
    tree.write_sheet()
    problems, summary = check(tree.config)
    assert not problems and "left out: 1 without action units" in summary
    tree.takes[1].cells[units] = "4+smirk"
    tree.write_sheet()
    problems, _ = check(tree.config)
    assert len(problems) == 1
    assert f"row {tree.top + 2}: 'smirk' is no action unit (clip " in problems[0]


def test_a_sheet_without_units_has_no_such_classes(tmp_path):
    tree = write("casme2", tmp_path, classes="aus")
    tree.rows[tree.top - 1][column(tree)] = "Notes"
    tree.write_sheet()
    with pytest.raises(JmerError, match="no row that names the needed columns"):
        check(tree.config)


def classes_of_casme2(tree, rows):
    book = openpyxl.Workbook()
    for row in [["Subject", "Filename", "Objective Class"], *rows]:
        book.active.append(row)
    book.save(tree.root / "CASME2-ObjectiveClasses.xlsx")


def test_casme2_has_its_objective_classes_in_a_sheet_of_their_own(tmp_path):
    tree = write("casme2", tmp_path, classes="objective")
    with pytest.raises(JmerError, match=r"no annotation sheet .*ObjectiveClasses"):
        check(tree.config)
    keys = [take.key for take in tree.takes]
    rows = [
        [int(subject[3:]), clip, i % 7 + 1 if i % 2 else OBJECTIVE[i % 7]]
        for i, (subject, clip) in enumerate(keys[1:])
    ]
    classes_of_casme2(tree, rows)
    _, summary = check(tree.config)
    assert "left out: 1 none (no class of objective)" in summary
    clips = load(tree.config)
    found = zip(clips.subject, clips.clip_id, strict=True)
    labels = dict(zip(found, clips.label.tolist(), strict=True))
    assert labels == {key: i % 7 for i, key in enumerate(keys[1:])}
    classes_of_casme2(tree, [*rows, rows[0]])
    with pytest.raises(JmerError, match="row 9: duplicate clip"):
        check(tree.config)
    with pytest.raises(JmerError, match=r"ObjectiveClasses\.xlsx"):
        load(tree.config)
