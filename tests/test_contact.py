"""The contact sheet shows what is stored, pixel by pixel, and can be read."""

import collections
import dataclasses
import itertools

import cv2
import numpy as np
import pytest
from downloads import write
from numpy.testing import assert_array_equal
from toy import make_clips

from data_builders.synthetic import Synthetic
from jmer.cli import main
from jmer.data import load
from jmer.data.clips import ClipSet
from jmer.errors import UsageError
from jmer.preprocess.flow_colours import flow_colours
from jmer.report.contact import compose, figure, tile_pixels, wheel, write_sheet
from jmer.report.draw.tiles import card, instants, spread_over_classes

TINY = {"subjects": 3, "clips": 9, "length": 6, "size": 32}


def picture(path):
    return cv2.imread(str(path))[..., ::-1]


def read_tiles(clips, path, count, special="none"):
    """The images of each card as they are in the file, back at their own size."""
    chosen = write_sheet(clips, path, count=count, special=special)
    cards = [card(clips, i, special) for i in chosen]
    drawn = picture(path)
    sheet = compose(cards, "")
    assert drawn.shape == sheet.pixels.shape
    wheels = [t for t in sheet.tiles if t[:2] == (20, 14)]
    places = iter(sheet.tiles[len(wheels) :])
    made = []
    for i, one in zip(chosen, cards, strict=True):
        found = {}
        for tile in itertools.chain.from_iterable(one.tiles):
            x, y, image = next(places)
            side, own = len(image), len(tile.image)
            cell = drawn[y : y + side, x : x + side]
            times = side // own
            assert_array_equal(cell, image)
            found[tile.caption] = cell[times // 2 :: times, times // 2 :: times]
        made.append((i, found))
    return made


def test_frames_and_flow_are_those_stored(tmp_path):
    clips = load(Synthetic(data_dir=tmp_path, modality="clip", **TINY))
    made = read_tiles(clips, tmp_path / "sheet.png", 5)
    assert len(made) == 5
    for i, tiles in made:
        frames, flow = clips.inputs["clip"][i], clips.inputs["flow"][i]
        colours = flow_colours(flow.astype(np.float32))
        moments = [int(m[i]) for m in (clips.onset, clips.apex, clips.offset)]
        for name, k in zip(("onset", "apex", "offset"), moments, strict=True):
            caption = next(c for c in tiles if name in c)
            assert caption.endswith(f" {k}")
            assert_array_equal(tiles[caption], frames[k])
        start = min(moments[1], 4)
        assert_array_equal(tiles[f"flow {start} to {start + 1}"], colours[start])
        assert sum(c.startswith("flow") for c in tiles) >= 3
        others = [c for c in tiles if c.startswith("frame")]
        for caption in others:
            assert_array_equal(tiles[caption], frames[int(caption.split()[1])])


@pytest.mark.parametrize("special", ["sf", "apex-offset", "random2", "of", "dense"])
def test_special_images_are_called_what_they_are(special, tmp_path):
    clips = load(Synthetic(data_dir=tmp_path, modality="clip", special=special, **TINY))
    for i in (0, 4):
        *_, first, second = card(clips, i, special).tiles[0]
        assert_array_equal(first.image, clips.inputs["special"][i, 0])
        assert_array_equal(second.image, clips.inputs["special"][i, 1])
        if special == "sf":
            assert (first.caption, second.caption) == ("onset", "apex")
            assert_array_equal(first.image, clips.inputs["clip"][i, clips.onset[i]])
        if special == "dense":
            assert second.caption == "flow to offset"
    plain = [t.caption for t in card(clips, 0).tiles[0][-2:]]
    assert plain == ["special 1", "special 2"]


def test_flow_to_the_apex_and_its_strain(tmp_path):
    clips = load(Synthetic(data_dir=tmp_path, flow_size=13, **TINY))
    for i, tiles in read_tiles(clips, tmp_path / "sheet.png", 4):
        stored = clips.inputs["apex_flow"][i].astype(np.float32)
        assert_array_equal(
            tiles.pop("flow to apex"), flow_colours(stored[None, ..., :2])[0]
        )
        ((caption, strain),) = tiles.items()
        assert caption == f"strain to {stored[..., 2].max():.2g}"
        assert strain.max() == 255
        expected = 255 * stored[..., 2] / stored[..., 2].max()
        assert np.abs(strain - expected[..., None]).max() <= 0.5001


def test_published_flow_images_are_shown_part_by_part():
    clips = dataclasses.replace(
        make_clips(),
        inputs={"apex_flow": np.random.default_rng(0).integers(
            0, 256, (len(make_clips()), 28, 28, 3), np.uint8
        )},
    )  # fmt: skip
    one = card(clips, 3)
    assert [t.caption for t in one.tiles[0]] == ["right", "down", "strain"]
    for k, tile in enumerate(one.tiles[0]):
        for channel in range(3):
            stored = clips.inputs["apex_flow"][3, ..., k]
            assert_array_equal(tile.image[..., channel], stored)


@pytest.mark.parametrize("modality", ["clip", "flow", "apex-flow"])
def test_sets_of_frames_are_shown(modality, tmp_path):
    tree = write("samm", tmp_path, modality=modality)
    clips = load(tree.config)
    assert write_sheet(clips, tmp_path / "s.png", count=3) == spread_over_classes(
        clips, 3
    )
    assert picture(tmp_path / "s.png").std() > 20


def a_set(labels, subjects, **fields):
    n = len(labels)
    zeros = np.zeros(n, np.int32)
    columns = {
        "clip_id": np.array([f"c{i}" for i in range(n)]),
        "dataset": np.full(n, "one"),
        "onset": zeros, "apex": zeros + 1, "offset": zeros + 2,
        "action_units": np.full(n, "1+2"),
        "inputs": {"clip": np.zeros((n, 3, 16, 16, 3), np.uint8)},
    }  # fmt: skip
    return ClipSet(
        name="one",
        classes=("calm", "glad", "sad"),
        label=np.array(labels, np.int32),
        subject=np.array(list(subjects)),
        **{**columns, **fields},
    )


def test_classes_take_turns_and_subjects_too():
    clips = a_set([0, 0, 0, 1, 1, 1, 2], ["a", "a", "b", "a", "c", "c", "a"])
    # calm of a, then glad of c, then sad (only a); then calm of b, glad: of a after c.
    assert spread_over_classes(clips, 3) == [0, 4, 6]
    assert spread_over_classes(clips, 4) == [0, 2, 4, 6]
    assert spread_over_classes(clips, 5) == [0, 2, 4, 5, 6]
    assert spread_over_classes(clips, 99) == list(range(7))
    assert spread_over_classes(clips, 2, ["sad", "glad"]) == [3, 6]
    with pytest.raises(UsageError, match="class=joy: one has calm, glad, sad"):
        spread_over_classes(clips, 2, ["joy"])
    with pytest.raises(UsageError, match="class=sad: one has no clip of that class"):
        spread_over_classes(a_set([0, 1], "ab"), 2, ["sad"])


def test_every_class_shows_every_data_set():
    parts = np.repeat(["one", "two", "six"], 4)
    subjects = [f"s{i}" for i in range(12)]
    clips = a_set([0, 0, 1, 1] * 3, subjects, dataset=parts)
    chosen = spread_over_classes(clips, 6)
    for label in (0, 1):
        there = {parts[i] for i in chosen if clips.label[i] == label}
        assert there == {"one", "two", "six"}


def test_a_large_set_shows_everything_about_as_often():
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 3, 90))
    clips = a_set(labels, [f"s{k}" for k in rng.integers(0, 12, 90)])
    chosen = spread_over_classes(clips, 12)
    assert set(collections.Counter(labels[chosen].tolist()).values()) == {4}
    assert len({clips.subject[i] for i in chosen}) >= 11


@pytest.mark.parametrize(
    ("moments", "length", "expected"),
    [
        ((0, 9, 20), 24, [0, 3, 6, 9, 14, 20]),
        ((2, 2, 2), 5, [2]),
        ((0, 1, 2), 3, [0, 1, 2]),
        ((-1, -1, -1), 16, [0, 3, 6, 9, 12, 15]),
        ((-1, -1, -1), 2, [0, 1]),
    ],
)
def test_instants(moments, length, expected):
    assert instants(moments, length) == expected


def test_flow_of_a_clip_that_is_its_last_frame():
    flow = np.ones((2, 1, 8, 8, 2), np.float16)
    last = np.ones(2, np.int32)
    fields = {"onset": last, "apex": last, "offset": last, "inputs": {"flow": flow}}
    ((tile,),) = card(a_set([0, 1], "ab", **fields), 0).tiles
    assert tile.caption == "flow 0 to 1"


def test_the_wheel_shows_where_motion_goes():
    image = wheel(73)
    still, right, left, rim = image[36, 36], image[36, 71], image[36, 1], image[0, 0]
    assert still.max() == 0 and rim.min() == 255
    assert right[0] > 230 and right[1:].max() < 30
    assert left[0] < 30 and left[1:].min() > 230
    field = np.zeros((1, 2, 2, 2), np.float32)
    field[..., 1] = 3  # down
    assert np.abs(image[71, 36].astype(int) - flow_colours(field)[0, 0, 0]).max() < 30


def test_tiles_are_enlarged_by_whole_numbers_and_shrunk_by_area():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (28, 28, 3), np.uint8)
    assert tile_pixels(small).shape == (112, 112, 3)
    assert_array_equal(tile_pixels(small)[3::4, ::4], small)
    large = rng.integers(0, 256, (256, 256, 3), np.uint8)
    means = large.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(tile_pixels(large) - means).max() <= 0.5001


NASTY = ("$x_1$ " * 12, "w" * 900, "名前\n\tx", "")


@pytest.mark.parametrize("tiles", [1, 6])
def test_words_overlap_nothing(tiles):
    n = 7
    clips = a_set(
        [0, 1, 2, 0, 1, 2, 0], [f"{NASTY[i % 4]}{i}" for i in range(n)],
        clip_id=np.array([f"{NASTY[i % 3]}{i}" for i in range(n)]),
        dataset=np.array([f"{NASTY[i % 3]} of {i}" for i in range(n)]),
        action_units=np.array([NASTY[i % 4] for i in range(n)]),
        inputs={
            "clip": np.zeros((n, 3 if tiles == 1 else 9, 16, 16, 3), np.uint8),
            "flow": np.ones((n, 2 if tiles == 1 else 8, 16, 16, 2), np.float16),
        },
    )  # fmt: skip
    cards = [card(clips, i) for i in range(n)]
    sheet = compose(cards, NASTY[0])
    drawn = figure(sheet)
    height, width = sheet.pixels.shape[:2]
    boxes = []
    for text in drawn.texts:
        if not text.get_text():
            continue
        box = text.get_window_extent()
        boxes.append((box.x0, height - box.y1, box.x1, height - box.y0))
    assert len(boxes) > 5 * n
    assert any(text.get_text().endswith("…") for text in drawn.texts)
    boxes += [(x, y, x + len(i[0]), y + len(i)) for x, y, i in sheet.tiles]
    for a in boxes:
        assert a[0] >= 0 and a[1] >= 0 and a[2] <= width and a[3] <= height
    for a, b in itertools.combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (a, b)


SHOW = ("data", "show", "synthetic", "--subjects", "3", "--clips", "9", "--length", "5")


def test_the_command_prepares_and_draws(tmp_path, capsys):
    words = [*SHOW, "--size", "32", "--data-dir", str(tmp_path / "d"), "--count", "4"]
    files = [tmp_path / "a.png", tmp_path / "new" / "b.png"]
    for file in files:
        assert main([*words, "--out", str(file)]) == 0
        assert capsys.readouterr().out == f"4 of 9 clips in {file}\n"
    assert files[0].read_bytes() == files[1].read_bytes()
    one = [*words, "--out", str(tmp_path / "c.png"), "--class", "surprise", "positive"]
    assert main(one) == 0
    assert picture(tmp_path / "c.png").shape == picture(files[0]).shape
    # A sheet is replaced, and another picture stays.
    before = (tmp_path / "c.png").read_bytes()
    assert main([*words, "--out", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").read_bytes() == files[0].read_bytes() != before
    mine = cv2.imencode(".png", np.zeros((5, 7, 3), np.uint8))[1].tobytes()
    (tmp_path / "c.png").write_bytes(mine)
    assert main([*words, "--out", str(tmp_path / "c.png")]) == 2
    assert (tmp_path / "c.png").read_bytes() == mine
    error = capsys.readouterr().err
    assert "c.png' is there already, and not from `jmer data show`: it stays." in error
    assert "Choose another place with --out" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--count", "0"], "count=0 must be from 1 to 100", 2),
        (["--count", "101"], "count=101 must be from 1 to 100", 2),
        (["--out", "sheet.jpg"], "out=sheet.jpg must end in .png", 2),
        (
            ["--class", "joy"],
            "class=joy: synthetic has negative, positive, surprise",
            2,
        ),
        (["--out", "{tmp}/file/s.png"], "cannot write {tmp}/file", 1),
    ],
)
def test_bad_arguments_are_one_clear_error(words, said, code, tmp_path, capsys):
    (tmp_path / "file").touch()
    words = [word.format(tmp=tmp_path) for word in words]
    assert main([*SHOW, "--size", "32", "--data-dir", str(tmp_path), *words]) == code
    error = capsys.readouterr().err
    assert said.format(tmp=tmp_path) in error and error.count("\n") == 1
    assert not list(tmp_path.rglob("*.png"))


def test_of_a_set_that_is_not_there(tmp_path, capsys):
    assert main(["data", "show", "samm", "--data-dir", str(tmp_path)]) == 1
    assert "no source is given" in capsys.readouterr().err
    assert main(["data", "show", "nothing"]) == 2
    assert "no data set is called 'nothing'" in capsys.readouterr().err
