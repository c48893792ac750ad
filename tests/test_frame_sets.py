"""Real data sets in miniature: what lies in their layout is what is loaded."""

import dataclasses
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from damage import folder_missing, frame_missing, refuses, set_cell
from downloads import CONFIGS, FRAME_SETS, read, write
from numpy.testing import assert_array_equal

from data_builders import datasets
from data_builders.casme_cubed import casme_cubed_dataset_builder as casme_cubed
from data_builders.synthetic import Synthetic
from jmer.data import check, load
from jmer.data.maker import builder_of
from jmer.errors import JmerError, UsageError
from jmer.preprocess.flow import apex_flow
from jmer.preprocess.temporal import linear, resample
from jmer.preprocess.tensors import neighbour_flow, resize
from jmer.synthetic.layouts import LAYOUTS

ALL = FRAME_SETS

# Images that are not those of the default.
OTHER = dict.fromkeys(("casme", "casme2", "casme_squared", "smic"), "raw")
OTHER["casme_cubed"] = "videos"


def assert_annotated(clips, tree):
    takes = tree.loaded
    assert_array_equal(clips.subject, [t.key[0] for t in takes])
    assert_array_equal(clips.clip_id, [t.key[1] for t in takes])
    assert [clips.classes[i] for i in clips.label] == [t.label for t in takes]
    assert_array_equal(clips.action_units, [t.take.action_units for t in takes])
    assert_array_equal(clips.dataset, [t.take.dataset for t in takes])


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_is_what_is_loaded(name, tmp_path):
    tree = write(name, tmp_path)
    problems, summary = check(tree.config)
    assert not problems
    assert summary.startswith(f"{len(tree.loaded)} clips, 3 subjects (")
    clips = load(tree.config)
    assert_annotated(clips, tree)
    assert clips.classes == tree.config.class_names
    assert clips.inputs.keys() == {"clip"}
    assert clips.inputs["clip"].dtype == np.uint8
    for i, take in enumerate(tree.loaded):
        shown, moments = resample(take.shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], shown)
        assert (clips.onset[i], clips.apex[i], clips.offset[i]) == moments


@pytest.mark.parametrize("name", ALL)
def test_flow_is_that_of_the_frames(name, tmp_path):
    tree = write(name, tmp_path, modality="apex-flow", size=14)
    apex = load(tree.config)
    assert_annotated(apex, tree)
    linear = dataclasses.replace(
        tree.config, modality="flow", resample="linear", size=32
    )
    flow = load(linear).inputs["flow"]
    assert flow.shape == (len(tree.loaded), 3, 32, 32, 2)
    for i, take in enumerate(tree.loaded):
        onset, peak, _ = take.interval
        expected = apex_flow(take.published, onset, peak, 14).astype(np.float16)
        assert_array_equal(apex.inputs["apex_flow"][i], expected)
        assert (apex.onset[i], apex.apex[i], apex.offset[i]) == take.interval
        frames, _ = resample(take.shown, take.interval, 4, "linear")
        assert_array_equal(flow[i], neighbour_flow(frames, "farneback"))


def test_special_frames_are_onset_and_apex(tmp_path):
    tree = write("casme_cubed", tmp_path, special="sf")
    special = load(tree.config).inputs["special"]
    for i, take in enumerate(tree.loaded):
        assert_array_equal(special[i], take.shown[list(take.interval[:2])])


def test_what_a_labelling_leaves_out_is_counted(tmp_path):
    tree = write("casme2", tmp_path, min_frames=8)
    lengths = [len(t.wanted) for t in tree.loaded]
    short = sum(n < 8 for n in lengths)
    assert 0 < short < len(lengths)
    _, summary = check(tree.config)
    assert summary.startswith(f"{len(lengths) - short} clips, ")
    assert "left out: 1 sadness (no class of 5class)" in summary
    assert f"left out: {short} fewer than 8 frames" in summary
    assert len(load(tree.config)) == len(lengths) - short


def test_a_neighbour_stands_in_for_a_missing_frame(tmp_path):
    tree = write("casme2", tmp_path, missing_frames="neighbour", special="sf")
    take = tree.loaded[1]
    before = take.shown[take.interval[1] - 1]
    frame_missing(tree)
    special = load(tree.config).inputs["special"]
    assert_array_equal(special[1, 1], before)
    folder_missing(tree)
    assert "no folder of clip" in check(tree.config)[0][0]


def test_an_apex_that_is_missing_goes_halfway(tmp_path):
    tree = write("casme2", tmp_path, missing_apex="middle", special="sf")
    set_cell("apex", "/")(tree)
    take = tree.loaded[1]
    special = load(tree.config).inputs["special"]
    assert_array_equal(special[1, 1], take.shown[take.interval[2] // 2])


@pytest.mark.parametrize("name", OTHER)
def test_the_other_images(name, tmp_path):
    tree = write(name, tmp_path, source=OTHER[name])
    clips = load(tree.config)
    assert_annotated(clips, tree)
    for i, take in enumerate(tree.loaded):
        shown, _ = resample(take.shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], shown)


WHOLE = [
    (name, source)
    for name in ALL
    for source, view in LAYOUTS[name].views.items()
    if view.whole
]


@pytest.mark.parametrize(("name", "source"), WHOLE)
@pytest.mark.parametrize("context", [1, 3, 1000])
def test_whole_clips_have_the_frames_that_are_there(name, source, context, tmp_path):
    fields = {"resample": "whole", "context": context, "frames": 7, "min_frames": 2}
    tree = write(name, tmp_path, source=source, special="sf", **fields)
    clips = load(tree.config)
    assert_annotated(clips, tree)
    there = {
        take.images[source].path(tree.root, number)
        for take in tree.draft.takes
        for number in take.images[source].numbers
    }
    for i, take in enumerate(tree.loaded):
        first, last = take.onset, take.offset
        while first > take.onset - context and take.path(first - 1) in there:
            first -= 1
        while last < take.offset + context and take.path(last + 1) in there:
            last += 1
        assert last - first > take.offset - take.onset
        shown = np.stack([read(take.path(n)) for n in range(first, last + 1)])
        made = linear(resize(shown, 32), 7)
        assert_array_equal(clips.inputs["clip"][i], made)
        assert_array_equal(clips.inputs["special"][i, 1], take.shown[take.interval[1]])
        times = np.linspace(first, last, 7)
        for field in ("onset", "apex", "offset"):
            nearest = np.abs(times - getattr(take, field)).argmin()
            assert getattr(clips, field)[i] == nearest


@pytest.mark.parametrize("context", [0, 2, 1000])
def test_a_window_inside_takes_neighbours_where_they_are_wanted(context, tmp_path):
    """MERANet, section 4.2: frames are repeated only in a clip of fewer than asked."""
    fields = {"resample": "apex-window", "window": "inside", "context": context}
    tree = write("casme2", tmp_path, source="raw", frames=6, **fields)
    clips = load(tree.config)
    there = {
        take.images["raw"].path(tree.root, number)
        for take in tree.draft.takes
        for number in take.images["raw"].numbers
    }
    for i, take in enumerate(tree.loaded):
        numbers = list(range(take.onset, take.offset + 1))
        for _ in range(context):
            if take.path(numbers[0] - 1) in there:
                numbers.insert(0, numbers[0] - 1)
            if take.path(numbers[-1] + 1) in there:
                numbers.append(numbers[-1] + 1)
        apex, most = numbers.index(take.onset + take.interval[1]), len(numbers)
        first = min(max(apex - 3, min(0, most - 6)), max(0, most - 6))
        window = [min(max(first + k, 0), most - 1) for k in range(6)]
        assert len(set(window)) == min(6, most)
        shown = np.stack([read(take.path(numbers[k])) for k in window])
        assert_array_equal(clips.inputs["clip"][i], resize(shown, 32))


def test_the_frames_of_a_video_change_neither_its_clips_nor_its_flow(tmp_path):
    """STANet's figure 5 is drawn over them."""
    fields = {"resample": "linear", "size": 32, "flow": "dis"}
    tree = write("casme", tmp_path, modality="flow", **fields)
    flow = load(tree.config)
    video = load(dataclasses.replace(tree.config, modality="video"))
    assert_array_equal(flow.inputs["flow"], video.inputs["flow"])
    assert_annotated(video, tree)
    frames = video.inputs["clip"]
    assert frames.shape[1] == flow.inputs["flow"].shape[1] + 1


def test_check_counts_what_a_least_length_leaves_of_each_class(tmp_path):
    """As MERANet's "samples having atleast 16 frames" does."""
    tree = write("casme2", tmp_path, classes="meranet")
    lengths = [len(take.wanted) for take in tree.loaded]
    least = sorted(lengths)[len(lengths) // 2]
    kept = [t.label for t in tree.loaded if len(t.wanted) >= least]
    assert 0 < len(kept) < len(lengths)
    problems, summary = check(dataclasses.replace(tree.config, min_frames=least))
    assert not problems
    counts = ", ".join(f"{kept.count(c)} {c}" for c in tree.config.class_names)
    assert summary.startswith(f"{len(kept)} clips, ") and f"({counts})" in summary
    assert f"{len(lengths) - len(kept)} fewer than {least} frames" in summary


def test_sets_that_were_prepared_before_there_were_windows_are_found():
    centred = CONFIGS["casme"](resample="apex-window")
    assert "window" not in centred.recipe
    inside = dataclasses.replace(centred, window="inside")
    assert inside.config_name != centred.config_name
    with pytest.raises(UsageError, match="window=inside goes with resample=apex-win"):
        CONFIGS["casme"](window="inside")
    drawn = Synthetic(resample="apex-window", frames=8, window="inside")
    assert drawn.stored.window == "inside"
    assert "window" not in Synthetic().recipe


def test_context_ends_where_a_frame_is_missing(tmp_path):
    fields = {"resample": "whole", "context": 9, "frames": 2}
    tree = write("samm", tmp_path, **fields)
    take = tree.loaded[1]
    take.path(take.onset - 1).unlink()
    clip = load(tree.config).inputs["clip"][1]
    assert_array_equal(clip[0], take.shown[0])


def test_a_broken_frame_of_the_context_is_named(tmp_path):
    tree = write("samm", tmp_path, resample="whole", context=1)
    take = tree.loaded[1]
    take.path(take.onset - 1).write_bytes(b"")
    refuses(tree, "is empty. Restore")


def test_repairs_of_hsta(tmp_path):
    tree = write("casme_cubed", tmp_path, repairs="hsta")
    moments = builder_of(tree.config).moments
    assert moments(10, 12, 20) == (10, 12, 20)
    assert moments(10, 7, 20) == (10, 10, 20)
    assert moments(10, 12, 0) == (10, 10, 10)
    assert moments(10, 40, 20) == (10, 15, 20)
    assert moments(10, 12, 99) == (10, 12, 60)
    assert moments(10, 80, 99) == (10, 60, 60)
    assert builder_of(tree.config).late_apex(10, 80, 99) == 80
    assert builder_of(tree.config).late_apex(10, 60, 99) is None
    assert builder_of(tree.config).late_apex(10, 99, 80) is None  # 45, halfway
    assert builder_of(tree.config).late_apex(10, 999, 180) == 95
    clamped = dataclasses.replace(tree.config, late_apex="clamped")
    assert builder_of(clamped).late_apex(10, 80, 99) is None


def test_the_apex_frame_of_a_clip_that_is_cut_short_is_shown(tmp_path, monkeypatch):
    """As in 634 of the 3,346 macro-expressions that the authors list."""
    monkeypatch.setattr(casme_cubed, "HSTA_LONGEST", 1)
    fields = {"special": "sf", "resample": "uniform", "frames": 2, "resize": "bilinear"}
    tree = write("casme_cubed", tmp_path, source="videos", repairs="hsta", **fields)
    clips = load(tree.config)
    for i, take in enumerate(tree.loaded):
        assert take.apex > take.onset + 1
        apex, first = (read(take.path(n)) for n in (take.apex, take.onset))
        size = clips.inputs["special"].shape[2]
        shown = resize(np.stack([first, apex]), size, "bilinear")
        assert_array_equal(clips.inputs["special"][i], shown)
        last = resize(read(take.path(take.onset + 1))[None], size, "bilinear")
        assert_array_equal(clips.inputs["clip"][i, 1:], last)
    clamped = load(dataclasses.replace(tree.config, late_apex="clamped"))
    assert_array_equal(clamped.inputs["special"][:, 1], clamped.inputs["clip"][:, 1])


def test_a_clip_of_one_frame_is_filled_up_by_the_repairs_of_hsta(tmp_path):
    fields = {"special": "of", "resample": "uniform", "frames": 6}
    tree = write("casme_cubed", tmp_path, repairs="hsta", **fields)
    take = tree.loaded[1]
    set_cell("offset", "0")(tree)  # as in rows 796 and 798 of the published sheet
    clips = load(tree.config)
    only = resize(read(take.path(take.onset))[None], clips.inputs["clip"].shape[2])
    assert_array_equal(clips.inputs["clip"][1], only.repeat(6, axis=0))
    plain = dataclasses.replace(tree.config, repairs="none")
    assert "out of order" in check(plain)[0][0]


def test_recipes_from_before_there_was_a_choice_keep_their_folder():
    """Of sets that earlier versions prepared: names are those of `main` before."""
    cubed, synthetic = CONFIGS["casme_cubed"], Synthetic
    before = {"resize": "area", "tracks": "chained"}
    old = cubed(repairs="hsta", special="of", size=32, late_apex="clamped", **before)
    assert old.config_name == "recipe-535ba2288907"
    assert synthetic(modality="clip").config_name == "recipe-a4056ec0bd0d"
    assert cubed(size=32).config_name == cubed(size=32, **before).config_name
    new = cubed(repairs="hsta", special="of", size=32)
    assert len({old.config_name, new.config_name}) == 2


def test_a_neighbour_is_near_even_of_huge_numbers(tmp_path):
    tree = write("casme2", tmp_path, missing_frames="neighbour", special="sf")
    take = tree.loaded[1]
    before = take.shown[take.interval[1] - 1]
    frame_missing(tree)
    shutil.copy(take.path(take.offset), take.folder / f"reg_img{2**63}.jpg")
    assert_array_equal(load(tree.config).inputs["special"][1, 1], before)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("casme2", {"frames": 1}, "frames=1: must be at least 2"),
        ("samm", {"size": 3}, "size=3: must be at least 4"),
        ("smic", {"min_frames": 0}, "min_frames=0: must be at least 1"),
        ("samm", {"context": -1}, "context=-1: must be at least 0"),
        (
            "samm",
            {"context": 2},
            "context=2 goes with resample=whole, native or apex-window and .* not with",
        ),
        (
            "samm",
            {"context": 2, "resample": "whole", "modality": "apex-flow"},
            "context=2 goes with .*not with resample=whole and modality=apex-flow",
        ),
        (
            "samm",
            {"modality": "apex-flow", "resize": "bilinear"},
            "resize=bilinear goes with whole frames .*not with modality=apex-flow",
        ),
        (
            "samm",
            {"align": "crop", "resize": "bilinear"},
            "resize=bilinear goes with whole frames .* and align=crop",
        ),
        ("casme", {"modality": "flow", "special": "sf"}, "special=sf .*modality=clip"),
        (
            "casme",
            {"modality": "flow", "flow": "dis", "size": 9},
            "size=9: flow=dis needs at least 12",
        ),
    ],
)
def test_bad_fields_are_refused(name, fields, words):
    with pytest.raises(UsageError, match=words):
        CONFIGS[name](**fields)


def test_the_sets_are_listed_and_their_configurations_are_light():
    names = {CONFIGS[name]().name for name in ALL}
    assert names <= {kind.name for kind in datasets()}
    code = "; ".join(f"import data_builders.{name}" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"cv2", "tensorflow_datasets", "python_calamine", "jax", "pandas"}
    assert not {m.split(".")[0] for m in done.stdout.split()} & heavy


def test_the_composite_is_its_three_parts(tmp_path):
    tree = write("megc2019", tmp_path)
    problems, summary = check(tree.config)
    assert not problems
    lines = [line for line in summary.splitlines() if "clips" in line]
    takes = tree.loaded
    expected = [
        f"{part}: {len([t for t in takes if t.take.dataset == part])} clips, 3 subjects"
        for part in ("casme2", "samm", "smic")
    ]
    assert [line.split(" (")[0] for line in lines] == expected
    clips = load(tree.config)
    assert_annotated(clips, tree)
    assert len(clips) < len(tree.takes)  # others are left out
    for i, take in enumerate(takes):
        shown, _ = resample(take.shown, take.interval, 4, "uniform")
        assert_array_equal(clips.inputs["clip"][i], shown)
    frame = takes[-1].path(takes[-1].onset)
    frame.write_bytes(b"")
    with pytest.raises(JmerError, match="has changed since"):
        load(tree.config)
    assert re.search("is empty. Restore", check(tree.config)[0][0])
