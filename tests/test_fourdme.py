"""4DME: emotions and action units as text or as columns of marks."""

import re

import pytest
from downloads import write

from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import JmerError

TEXT = {"emotion": 3, "units": 13}
MARKS = {"emotion": range(8, 13), "units": range(14, 31)}


def drop(tree, *columns):
    """Leaves columns of the sheet without a name, and empty."""
    for row in tree.rows[tree.top - 1 :]:
        for column in columns:
            row[column] = None
    tree.write_sheet()


@pytest.mark.parametrize("kept", ["text", "marks"])
def test_text_and_marks_say_the_same(kept, tmp_path):
    tree = write("fourdme", tmp_path)
    lost = [*MARKS["emotion"], *MARKS["units"]] if kept == "text" else TEXT.values()
    drop(tree, *lost)
    clips = load(tree.config)
    takes = tree.loaded
    assert [clips.classes[i] for i in clips.label] == [t.label for t in takes]
    for units, take in zip(clips.action_units, takes, strict=True):
        one, two = (re.findall(r"\d+", t) for t in (units, take.take.action_units))
        assert sorted(map(int, one)) == sorted(map(int, two))


def test_a_sheet_without_any_emotion_is_refused(tmp_path):
    tree = write("fourdme", tmp_path)
    drop(tree, TEXT["emotion"], *MARKS["emotion"])
    with pytest.raises(JmerError, match="neither a column Emotion nor one for each of"):
        check(tree.config)


def test_a_mark_is_0_or_1(tmp_path):
    tree = write("fourdme", tmp_path)
    tree.loaded[1].cells[3] = None
    tree.loaded[1].cells[8] = "x"
    tree.write_sheet()
    with pytest.raises(JmerError, match=r"row \d+: 'x' in the column of positive is"):
        check(tree.config)


@pytest.mark.parametrize("several", ["leave-out", "first"])
def test_clips_of_several_emotions(several, tmp_path):
    tree = write("fourdme", tmp_path, quirks=True, several=several)
    two = [t for t in tree.takes if "+" in t.take.labels["emotion"]]
    assert two
    _, summary = check(tree.config)
    clips = load(tree.config)
    found = dict(
        zip(clips.clip_id, (clips.classes[i] for i in clips.label), strict=True)
    )
    if several == "first":
        assert "several" not in summary and len(clips) == len(tree.takes)
        for take in two:
            assert found[take.key[1]] == take.take.labels["emotion"].split("+")[0]
    else:
        assert f"left out: 1 of several emotions ({two[0].take.labels['emotion']})" in (
            summary
        )
        assert not {t.key[1] for t in two} & set(found)


def test_an_unknown_one_of_several_emotions_is_no_emotion(tmp_path):
    tree = write("fourdme", tmp_path)
    tree.loaded[1].cells[3] = "Surprise+Joy"
    tree.write_sheet()
    problems, _ = check(tree.config)
    assert len(problems) == 1 and "unknown emotion 'surprise+joy'" in problems[0]


def test_static_units_do_not_count(tmp_path):
    tree = write("fourdme", tmp_path)
    one, two = tree.takes[:2]
    one.cells[13], two.cells[13] = "AU4(k)+AU12", "4(K)"
    tree.write_sheet()
    rows = {row.key: row for row in builder_of(tree.config).rows()}
    assert rows[one.key].action_units == "AU12"
    assert rows[two.key].action_units == ""


def test_the_units_of_two_rows_are_exchanged(tmp_path):
    """In the sheet of 267 rows alone."""
    tree = write("fourdme", tmp_path)
    for i in range(len(tree.takes), 267):
        row = list(tree.takes[0].cells)
        row[2], row[13] = f"c{i}", f"{i}"
        tree.rows.append(row)
    tree.write_sheet()
    made = builder_of(tree.config).annotation
    assert [change.split(": ")[1] for change in made.changes] == [
        "action_units 144 -> 145",
        "action_units 145 -> 144",
    ]
    del tree.rows[-1]
    tree.write_sheet()
    assert not builder_of(tree.config).annotation.changes
