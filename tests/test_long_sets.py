"""Whole recordings: SMIC-E, SAMM Long Videos, and part C of CAS(ME)³."""

import dataclasses
import re

import pytest
from downloads import Tree, write
from numpy.testing import assert_array_equal

from data_builders.casme_cubed import CasmeCubed
from data_builders.smic import Smic
from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import JmerError, UsageError
from jmer.synthetic.layouts.smic_long import SmicLongLayout
from jmer.synthetic.layouts.write import synthesize
from jmer.synthetic.spec import SyntheticSpec

# Six clips of each subject, two of a class: some follow one another in a recording.
PAIRS = SyntheticSpec(2, clips=12, length=6, size=32, imbalance=0.0, noise=0.0)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """SMIC-E with second micro-expressions and the label that is wrong."""
    folder = tmp_path_factory.mktemp("smic")
    draft = synthesize(SmicLongLayout(quirks=True), PAIRS, folder / "in")
    places = {"manual_dir": folder / "in", "data_dir": folder / "out"}
    config = Smic(**places, source="long", size=32, frames=4, resample="uniform")
    return Tree(config, folder / "in", draft, "smic_long")


def test_a_recording_may_show_two(pairs):
    clips = load(pairs.config)
    names = set(clips.clip_id)
    assert names == {t.key[1] for t in pairs.takes} and len(clips) == PAIRS.clips
    seconds = [name for name in names if name.endswith("_2")]
    assert seconds and {name.removesuffix("_2") for name in seconds} < names
    folders = {t.key[1]: t.folder for t in pairs.takes}
    for name in seconds:
        assert folders[name] == folders[name.removesuffix("_2")]
    for i, take in enumerate(pairs.loaded):
        assert clips.clip_id[i] == take.key[1]
        assert clips.inputs["clip"][i].shape == (4, 32, 32, 3)
        assert clips.frame_rate[i] == 100


def test_the_wrong_label_is_corrected(pairs):
    _, summary = check(pairs.config)
    assert re.search(
        r"correction: s18/s18_sur_03 .*: emotion negative -> surp", summary
    )
    assert "left out: 2 lines of the sheet that are no recordings" in summary
    assert builder_of(pairs.config).annotation.changes
    as_written = dataclasses.replace(pairs.config, errata=False)
    for config, label in ((pairs.config, "surprise"), (as_written, "negative")):
        labels = {row.key: name for row, name in builder_of(config).annotation.chosen}
        assert labels["s18", "s18_sur_03"] == label
        assert "surprise" in labels.values()


def test_the_slower_camera_has_a_sheet_of_its_own(tmp_path):
    tree = write("smic_long", tmp_path, part="VIS", quirks=True)
    clips = load(tree.config)
    assert len(clips) == len(tree.loaded) and set(clips.frame_rate) == {25}


def test_a_camera_without_a_sheet(tmp_path):
    tree = write("smic_long", tmp_path)
    config = dataclasses.replace(tree.config, part="NIR")
    with pytest.raises(JmerError, match="no sheet NIR, and sheets HS, VIS all"):
        check(config)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (0, 99, "the name is that of another. Correct"),
        (5, 7, "offset '' of clip .*_2 is no frame number .the cell is em"),
        (
            6,
            10**6,
            "onset '' of clip .*_2 is no frame number .the cell is em",
        ),
        (1, "s1_xx_01", "subject or clip is empty or no name. Fill it in"),
    ],
)
def test_bad_rows_of_smic_are_named(column, value, words, tmp_path):
    tree = write("smic_long", tmp_path)
    tree.loaded[1].cells[column] = value
    tree.write_sheet()
    try:
        problems, _ = check(tree.config)
    except JmerError as error:
        problems = [str(error)]
    assert len(problems) == 1 and re.search(words, problems[0]), problems


# --- SAMM


def test_macro_expressions_and_clips_without_emotion_are_counted(tmp_path):
    tree = write("samm_long", tmp_path, quirks=True)
    unknown = [t for t in tree.takes if not t.take.labels["emotion"]]
    assert unknown
    _, summary = check(tree.config)
    assert "left out: 2 macro-expressions" in summary
    assert f"left out: {len(unknown)} micro-expressions that the sheet of" in summary
    assert "published correction" not in summary
    clips = load(tree.config)
    assert_array_equal(clips.clip_id, [t.key[1] for t in tree.loaded])
    whole = load(dataclasses.replace(tree.config, classes="aus"))
    assert len(whole) == len(tree.takes)


def test_of_the_sheet_of_clips_the_words_alone_are_taken(tmp_path):
    tree = write("samm_long", tmp_path)
    rows = builder_of(tree.config).rows()
    numbers = {row.key: (row.onset, row.offset) for row in rows}
    for take in tree.takes:
        assert numbers[take.key] == (f"{take.onset}", f"{take.offset}")
    clips = tree.draft.books[1].sheets["MICRO_ONLY"]
    assert clips[1][3] == tree.takes[0].onset + 2000
    clip = load(tree.config)
    clips[1][9] = "Happiness" if clips[1][9] != "Happiness" else "Surprise"
    tree.draft.books[1].write(tree.root)
    with pytest.raises(JmerError, match=r"SAMM_Micro_FACS_Codes_v2.xlsx has changed"):
        load(tree.config)
    assert len(clip) == len(tree.loaded)


def test_without_the_sheet_of_clips_there_are_no_emotions(tmp_path):
    tree = write("samm_long", tmp_path)
    (tree.root / "SAMM_Micro_FACS_Codes_v2.xlsx").unlink()
    with pytest.raises(
        JmerError, match=r"no annotation sheet SAMM_Micro.*put it there"
    ):
        check(tree.config)


def test_an_expression_is_macro_or_micro(tmp_path):
    tree = write("samm_long", tmp_path)
    tree.takes[0].cells[7] = "Blink"
    tree.write_sheet()
    with pytest.raises(JmerError, match=r"row \d+: unknown type 'Blink' of clip 006/"):
        check(tree.config)


# --- part C


def test_frames_are_places_in_their_folder(tmp_path):
    tree = write("casme_cubed_c", tmp_path)
    take = tree.loaded[0]
    assert take.images.path(tree.root, take.onset).is_file()
    assert take.cells[2] == take.onset - 372
    clips = load(tree.config)
    assert clips.clip_id[0] == f"a_{take.cells[2]}"
    assert clips.classes == ("negative", "positive", "surprise", "others")
    take.cells[3] = 10**3
    tree.write_sheet()
    problems, _ = check(tree.config)
    assert len(problems) == 1 and "lacks" in problems[0]


def test_part_c_has_no_apex(tmp_path):
    tree = write("casme_cubed_c", tmp_path, missing_apex="refuse")
    problems, _ = check(tree.config)
    assert len(problems) == len(tree.loaded)
    assert "apex '' of clip 01/a_" in problems[0] and "--missing-apex mi" in problems[0]


def test_action_units_of_part_c_make_classes(tmp_path):
    tree = write("casme_cubed_c", tmp_path, quirks=True, classes="aus")
    clips = load(tree.config)
    assert len(clips) == len(tree.loaded) == len(tree.takes)
    assert [clips.classes[i] for i in clips.label] == [t.label for t in tree.loaded]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "classes=7class with part=C: must be one of 4class, 3class, aus"),
        ({"classes": "objective"}, "classes=objective with part=C"),
        ({"classes": "4class"}, "source=clips with part=C: must be videos"),
    ],
)
def test_what_part_c_has_not_is_refused(fields, words):
    with pytest.raises(UsageError, match=words):
        CasmeCubed(part="C", **fields)
