"""DFME: three lists, a frame rate a clip, and sizes that nothing may square."""

import csv
import time

import pytest
from downloads import read, write

from data_builders.dfme import EMOTIONS, Dfme
from data_builders.dfme.dfme_dataset_builder import Builder
from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import JmerError

HEADER = "Subject,Filename,OnsetFrame,ApexFrame,OffsetFrame,Emotion,EmotionId,Fps,AU"


@pytest.mark.parametrize("part", ["training", "testA", "testB"])
@pytest.mark.parametrize("quirks", [False, True])
def test_each_list_has_its_own_clips(part, quirks, tmp_path):
    tree = write("dfme", tmp_path, quirks=quirks, part=part)
    clips = load(tree.config)
    own = [t for t in tree.draft.takes if t.part == part]
    assert sorted(clips.clip_id) == sorted(t.clip for t in own)
    rates = {t.clip: float(t.cells[7]) for t in own}
    assert [rates[c] for c in clips.clip_id] == clips.frame_rate.tolist()
    assert {200, 300, 500} == set(clips.frame_rate.tolist())
    if quirks:
        assert any("AD31" in units for units in clips.action_units)
        assert any("M58" in units for units in clips.action_units)


def test_frames_count_from_0(tmp_path):
    tree = write("dfme", tmp_path, special="sf", frames=2)
    take = tree.loaded[0]
    assert take.images.first == 0 and take.path(0).name == "00000.png"
    special = load(tree.config).inputs["special"]
    assert (special[0, 0] == take.shown[0]).all()
    assert read(take.path(take.onset)).shape == take.published[0].shape


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (
            6,
            99,
            r"row \d+: emotion .* of clip .* has number 99, but is number",
        ),
        (7, "fast", r"row \d+: 'fast' is no number of frames a second. Correct"),
        (7, -1, r"row \d+: '-1' is no number of frames a second. Correct"),
    ],
)
def test_bad_numbers_are_named(column, value, words, tmp_path):
    tree = write("dfme", tmp_path)
    tree.loaded[1].cells[column] = value
    tree.write_sheet()
    with pytest.raises(JmerError, match=words):
        check(tree.config)


def many(folder, n, frames=0):
    rows = [
        f"sub{i // 11:04d},sub{i // 11:04d}_{i % 11:02d},3,7,9,"
        f"{EMOTIONS[i % 7]},{i % 7},500,4+AD31"
        for i in range(n)
    ]
    (folder / "training_full_with_AU.csv").write_text("\n".join([HEADER, *rows]))
    return Dfme(manual_dir=folder, data_dir=folder / "out")


def seconds(config, n):
    """Of this process alone, to read `n` clips: the best of three times."""
    took = []
    for _ in range(3):
        builder = builder_of(config)
        started = time.process_time()
        made = builder.annotation
        took.append(time.process_time() - started)
        assert len(made.chosen) == n and not made.problems
    return min(took)


def test_the_whole_set_is_read_in_seconds(tmp_path):
    """Ten times as many clips take about ten times as long; squared, a hundred."""
    for name in ("few", "all"):
        (tmp_path / name).mkdir()
    few = seconds(many(tmp_path / "few", 752), 752)
    assert seconds(many(tmp_path / "all", 7526), 7526) < 40 * few


def test_published_names(tmp_path):
    """The order of the classes is that of the published numbers."""
    assert Builder.VERSION and Dfme().class_names == EMOTIONS
    config = many(tmp_path, 14)
    with (tmp_path / "training_full_with_AU.csv").open() as table:
        numbers = {line["Emotion"]: line["EmotionId"] for line in csv.DictReader(table)}
    assert numbers == {name: f"{i}" for i, name in enumerate(EMOTIONS)}
    assert builder_of(config).annotation.chosen[0][1] == "anger"
