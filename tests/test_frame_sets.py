"""Real data sets in miniature: what lies in their layout is what is loaded."""

import collections
import csv
import dataclasses
import os
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import openpyxl
import pytest
from conftest import SHARED
from downloads import COLUMNS, CONFIGS, FRAME_SETS, read, write
from numpy.testing import assert_array_equal

from data_builders.annotation import Row, by_row, correct
from data_builders.sheets import read_table
from jmer.cli import main
from jmer.data.load import builder_of, check, datasets, load, prepare
from jmer.errors import JmerError, UsageError
from jmer.preprocess.features import neighbour_flow, resize
from jmer.preprocess.flow import apex_flow
from jmer.preprocess.temporal import linear, resample
from jmer.synthetic.layouts import LAYOUTS
from jmer.synthetic.layouts.images import write_image

ALL = FRAME_SETS
SHEETS = sorted(COLUMNS)
# Images that are not those of the default.
OTHER = dict.fromkeys(("casme", "casme2", "casme_squared", "smic"), "raw")
OTHER["casme_cubed"] = "videos"


def column(tree, name):
    return {"subject": 0, **COLUMNS[tree.name]}[name]


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


def test_what_a_protocol_leaves_out_is_counted(tmp_path):
    tree = write("casme2", tmp_path, min_frames=8)
    lengths = [len(t.wanted) for t in tree.loaded]
    short = sum(n < 8 for n in lengths)
    assert 0 < short < len(lengths)
    _, summary = check(tree.config)
    assert summary.startswith(f"{len(lengths) - short} clips, ")
    assert "left out: 1 sadness (no class of 5class)" in summary
    assert f"left out: {short} fewer than 8 frames" in summary
    assert len(load(tree.config)) == len(lengths) - short


def frame_missing(tree):
    take = tree.loaded[1]
    take.path(take.apex).unlink()


def frame_cut(tree):
    take = tree.loaded[1]
    path = take.path(take.apex)
    path.write_bytes(path.read_bytes()[:-700])


def frame_empty(tree):
    take = tree.loaded[1]
    take.path(take.apex).write_bytes(b"")


def frame_of_another_kind(tree):
    take = tree.loaded[1]
    take.path(take.apex).write_bytes(b"GIF89a" + bytes(200))


def frame_twice(tree):
    take = tree.loaded[1]
    path = take.path(take.apex)
    shutil.copy(path, path.with_name(f"copy_{path.name}"))


def folder_missing(tree):
    shutil.rmtree(tree.loaded[1].folder)


IN_FRAMES = {
    frame_cut: ["is truncated. Restore"],
    frame_empty: ["is empty. Restore"],
    frame_of_another_kind: [r"is no (JPG|BMP|PNG) image. Restore"],
    frame_twice: [r"are both frame \d+. Remove one"],
}
LACKING = {
    frame_missing: [r"lacks 1 of \d+ frames \(\d+\) .*--missing-frames neighbour"],
    folder_missing: ["row .*: no folder of clip .* Restore it, or remove the row"],
}


def set_cell(name, value):
    def damage(tree):
        tree.loaded[1].cells[column(tree, name)] = value
        tree.write_sheet()

    damage.__name__ = f"{name}={value}"
    damage.column = name
    return damage


def row_twice(tree):
    tree.rows.append(tree.loaded[1].cells)
    tree.write_sheet()


def subject_blank(tree):
    tree.loaded[1].cells[COLUMNS[tree.name].get("subject", 0)] = "  "
    tree.write_sheet()


def offset_huge(tree):
    tree.loaded[1].cells[column(tree, "offset")] = 10**9
    tree.write_sheet()


IN_SHEET = {
    set_cell("apex", "/"): "apex '/' of clip .* is no frame number.*--missing-apex",
    set_cell("apex", 0): r"onset \d+, apex 0 and offset \d+ of .* out of order. Corr",
    set_cell("onset", "x7"): "onset 'x7' of clip .* is no frame number. Correct",
    set_cell("onset", 1.5): r"onset '1\.5' of clip .* is no frame number. Correct",
    set_cell("emotion", "joy"): "unknown .* 'joy' of clip .* must be one of",
    row_twice: r"duplicate clip .*, first in row \d+. Remove one",
    subject_blank: "subject or clip is empty or no name. Fill it in",
    offset_huge: "lasts from .* to 1000000000, longer than 10000 frames. Correct",
}


def refuses(tree, words):
    problems, summary = check(tree.config)
    assert not summary
    assert len(problems) == 1, problems
    assert re.search(words, problems[0]), problems
    assert str(tree.root) in problems[0]
    with pytest.raises(JmerError, match=re.escape(problems[0])):
        prepare(tree.config)
    assert not list(tree.config.data_dir.rglob("dataset_info.json"))


# In whole videos and without a sheet, a folder says less of what should be there.
VIDEOS = ("casme_squared", "samm_long", "casme_cubed_c")
SOUND = [name for name in ALL if name not in ("smic", *VIDEOS)]


@pytest.mark.parametrize("damage", IN_FRAMES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", [n for n in ALL if n not in VIDEOS])
def test_bad_frames_are_named(name, damage, tmp_path):
    tree = write(name, tmp_path)
    damage(tree)
    if name == "smic" and damage is frame_twice:
        with pytest.raises(JmerError, match=IN_FRAMES[damage][0]):
            check(tree.config)
        return
    refuses(tree, IN_FRAMES[damage][0])


@pytest.mark.parametrize("damage", LACKING, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", SOUND)
def test_lacking_frames_are_named(name, damage, tmp_path):
    tree = write(name, tmp_path)
    damage(tree)
    refuses(tree, LACKING[damage][0])


# Some sheets have no apex, or no emotion, and one names subjects in its clips.
CELLS = [
    (name, damage)
    for name in SHEETS
    for damage in IN_SHEET
    if getattr(damage, "column", "onset") in COLUMNS[name]
    and (name, damage) != ("smic_long", subject_blank)
]


@pytest.mark.parametrize(
    ("name", "damage"), CELLS, ids=lambda x: getattr(x, "__name__", x)
)
def test_bad_cells_are_named(name, damage, tmp_path):
    tree = write(name, tmp_path)
    damage(tree)
    refuses(tree, IN_SHEET[damage])


@pytest.mark.parametrize("name", SHEETS)
@pytest.mark.parametrize("kind", ["absent", "no sheet", "two", "no column"])
def test_a_sheet_that_cannot_be_used(name, kind, tmp_path):
    tree = write(name, tmp_path)
    table = tree.table
    words = "no annotation sheet .* put it there"
    if kind == "absent":
        table.unlink()
    elif kind == "no sheet":
        table.write_bytes(table.read_bytes()[:100])
        words = "cannot read .* restore the file"
    elif kind == "two":
        shutil.copy(table, tree.root / "notes")
        words = "2 annotation sheets .* Choose one with --table"
    elif not tree.top:
        pytest.skip("this sheet has no header")
    else:
        tree.rows[tree.top - 1][column(tree, "onset")] = "Begin"
        tree.write_sheet()
        words = "no row that names the needed columns .*onset: |no sheet HS that names"
    for attempt in (check, prepare, load):
        with pytest.raises(JmerError, match=words):
            attempt(tree.config)


@pytest.mark.parametrize("name", ALL)
def test_no_images(name, tmp_path):
    tree = write(name, tmp_path)
    for source, images in tree.takes[0].take.images.items():
        config = dataclasses.replace(tree.config, source=source)
        assert not check(config)[0]
        shutil.rmtree(tree.root / images.pattern.split("/")[0])
        words = "no folder .* with subjects in .* choose another --source"
        with pytest.raises(JmerError, match=words):
            prepare(config)


def test_a_clip_of_one_frame_is_refused_or_left_out(tmp_path):
    tree = write("casme2", tmp_path)
    alone, cells = tree.loaded[1], tree.loaded[1].cells
    for name in ("onset", "apex", "offset"):
        cells[column(tree, name)] = alone.apex
    tree.write_sheet()
    words = (
        f"row .*: clip {alone.key[0]}/{alone.key[1]} has one frame, {alone.apex}, in"
    )
    refuses(tree, words)
    fewer = dataclasses.replace(tree.config, min_frames=2)
    assert len(load(fewer)) == len(tree.loaded) - 1


@pytest.mark.parametrize("modality", ["clip", "apex-flow"])
def test_a_frame_that_shows_nothing_is_named(modality, tmp_path):
    fields = {} if modality == "clip" else {"special": "none"}
    tree = write("casme2", tmp_path, modality=modality, **fields)
    take = tree.loaded[1]
    path = take.path(take.apex)
    write_image(path, np.zeros_like(cv2.imread(str(path))))
    words = f"{path} shows nothing: all of its pixels are alike. Restore"
    with pytest.raises(JmerError, match=re.escape(words)):
        prepare(tree.config)
    assert not list(tree.config.data_dir.rglob("dataset_info.json"))
    path.unlink()
    neighbour = dataclasses.replace(tree.config, missing_frames="neighbour")
    assert len(load(neighbour)) == len(tree.loaded)


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


def test_a_changed_frame_is_noticed(tmp_path):
    tree = write("smic", tmp_path)
    prepare(tree.config)
    take = tree.loaded[2]
    path = take.path(take.onset)
    path.write_bytes(path.read_bytes()[:-9] + b"\1" * 9)
    with pytest.raises(JmerError, match=r"has changed since .*1 files differ"):
        load(tree.config)


def test_frames_of_two_sizes_are_refused(tmp_path):
    tree = write("casme2", tmp_path)
    first, second = tree.loaded[:2]
    small = np.zeros((30, 26, 3), np.uint8)
    small[0] = 9
    write_image(second.path(second.apex), small)
    with pytest.raises(JmerError, match=r"is 26x3[02], but .* is 26x3[02]. Restore"):
        prepare(tree.config)
    assert not list(tree.config.data_dir.rglob("dataset_info.json"))
    assert first.key != second.key


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


def copied(folder, name):
    shutil.copytree(folder, folder.with_name(name))


def subject_twice(tree):
    home = tree.loaded[1].folder.parent
    copied(home, f"sub0{home.name[3:]}")


def folder_twice(tree):
    folder = tree.loaded[1].folder
    copied(folder, folder.name.lower())


def frame_is(kind):
    def damage(tree):
        take = tree.loaded[1]
        path = take.path(take.apex)
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path if kind == "loop" else "nowhere")

    damage.__name__ = kind
    return damage


def clip_in_other_letters(tree):
    row = list(tree.loaded[1].cells)
    row[1] = row[1].swapcase()
    tree.rows.append(row)
    tree.write_sheet()


FUZZED = {
    subject_twice: r"sub0+\d and .*sub0+\d are named alike. Remove or rename",
    folder_twice: r"EP\w+ and .*ep\w+ are named alike. Remove or rename one",
    frame_is("folder"): r"img\d+\.jpg is no file. Restore",
    frame_is("pipe"): r"img\d+\.jpg is no file. Restore",
    frame_is("loop"): r"img\d+\.jpg cannot be read \(.*\). Restore",
    frame_is("dangling"): r"img\d+\.jpg cannot be read \(No such file.*\). Restore",
    clip_in_other_letters: r"row 10: duplicate clip .*, first in row \d+. Remove",
    set_cell("subject", "9" * 5000): "row .*: subject or clip is empty or no name",
    set_cell("subject", 1.5): "row .*: subject or clip is empty or no name",
    set_cell("subject", "-1"): "row .*: subject or clip is empty or no name",
    set_cell("subject", "2014-05-08"): "row .*: subject or clip is empty or no name",
}


@pytest.mark.parametrize("damage", FUZZED, ids=lambda f: f.__name__[:24])
def test_what_fuzzing_found_is_named(damage, tmp_path):
    tree = write("casme2", tmp_path)
    damage(tree)
    problems, summary = check(tree.config)
    assert problems and not summary
    assert all(re.search(FUZZED[damage], problem) for problem in problems), problems
    with pytest.raises(JmerError, match=re.escape(problems[0])):
        prepare(tree.config)


def test_a_neighbour_is_near_even_of_huge_numbers(tmp_path):
    tree = write("casme2", tmp_path, missing_frames="neighbour", special="sf")
    take = tree.loaded[1]
    before = take.shown[take.interval[1] - 1]
    frame_missing(tree)
    shutil.copy(take.path(take.offset), take.folder / f"reg_img{2**63}.jpg")
    assert_array_equal(load(tree.config).inputs["special"][1, 1], before)


def test_names_that_are_no_utf8(tmp_path, capsys):
    tree = write("casme2", tmp_path)
    take = tree.loaded[1]
    path = take.path(take.apex)
    path = path.rename(path.with_name(f"bild\udcff{take.apex}.jpg"))
    assert len(load(tree.config)) == len(tree.loaded)
    path.write_bytes(b"")
    words = [f"--manual-dir={tree.root}", f"--data-dir={tmp_path / 'out'}"]
    assert main(["data", "check", "casme2", *words]) == 1
    assert rf"bild\udcff{take.apex}.jpg is empty" in capsys.readouterr().out


def test_an_image_that_claims_too_many_pixels(tmp_path):
    tree = write("casme2", tmp_path)
    take = tree.loaded[1]
    path = take.path(take.apex)
    content = cv2.imencode(".jpg", np.zeros((32, 26, 3), np.uint8))[1].tobytes()
    at = content.index(b"\xff\xc0") + 5  # height and width
    path.write_bytes(content[:at] + b"\xff\xdc\xff\xdc" + content[at + 4 :])
    with pytest.raises(JmerError, match=rf"{re.escape(str(path))} cannot be decoded"):
        prepare(tree.config)


@pytest.mark.parametrize("name", ["S1", "Micro"])
def test_folders_of_smic_in_capitals_are_clips_too(name, tmp_path):
    tree = write("smic", tmp_path)
    found = [p for p in tree.root.rglob("*") if p.name == name.lower()]
    home = found[0] if found else tree.loaded[0].folder.parents[2]
    home.rename(home.with_name(home.name.capitalize()))
    assert check(tree.config)[1].startswith(f"{len(tree.loaded)} clips")


@pytest.mark.parametrize("kind", ["file", "subject", "dangling"])
def test_clips_of_smic_that_lie_wrong_are_named(kind, tmp_path):
    tree = write("smic", tmp_path)
    folder = tree.loaded[1].folder
    words = "is no folder. Restore that clip"
    if kind == "subject":
        home = folder.parents[2]
        home.rename(home.with_name(f"{home.name}x"))
        words = "holds clips, but is no name of a subject"
    else:
        shutil.rmtree(folder)
        folder.touch() if kind == "file" else folder.symlink_to("nowhere")
    with pytest.raises(JmerError, match=words):
        check(tree.config)


def test_a_video_that_lies_there_twice(tmp_path):
    tree = write("casme_squared", tmp_path)
    folder = tree.loaded[1].folder
    copied(folder, f"{folder.name}_copy")
    problems, _ = check(tree.config)
    assert problems and all("are named alike" in problem for problem in problems)


@pytest.mark.parametrize("kind", ["", "#REF!", "macr"])
def test_kinds_of_expressions_are_checked(kind, tmp_path):
    tree = write("casme_squared", tmp_path)
    tree.loaded[1].cells[7] = kind
    tree.write_sheet()
    refuses(tree, "row .*: unknown kind of expression '.*'. It must be one of micro-")


def test_two_folders_of_images_at_one_depth(tmp_path):
    tree = write("casme2", tmp_path)
    for place in ("a", "b"):
        shutil.copytree(tree.root / "Cropped", tree.root / place / "Cropped")
    assert not check(tree.config)[0]  # the upper one counts
    shutil.rmtree(tree.root / "Cropped")
    with pytest.raises(JmerError, match=r"a/Cropped and .*b/Cropped are named alike"):
        check(tree.config)
    shutil.rmtree(tree.root / "b/Cropped")
    (tree.root / "b/Cropped").symlink_to(tree.root / "a/Cropped")
    assert not check(tree.config)[0]  # both are one


def test_links_upwards_show_no_second_sheet(tmp_path):
    tree = write("casme2", tmp_path)
    (tree.root / "Cropped/up").symlink_to("..")
    assert not check(tree.config)[0]


def test_folders_that_nobody_may_read_are_named(tmp_path, monkeypatch):
    tree = write("casme2", tmp_path)
    shut = tree.loaded[1].folder
    listed = type(shut).iterdir

    def iterdir(self):
        if self == shut:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(type(shut), "iterdir", iterdir)
    refuses(tree, rf"cannot read {shut}: Permission denied. Restore it, or make it")
    shut = tree.root / "notes"  # needs not be read
    assert not check(tree.config)[0]
    shut = tree.root / "Cropped"
    with pytest.raises(JmerError, match=rf"cannot read {shut}: Permission denied"):
        check(tree.config)


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
    with pytest.raises(JmerError, match=r"cannot read .*t\.csv .*: save it as UTF-8"):
        read_table(path, COLUMN)


def test_places_with_names_that_are_too_long(tmp_path):
    config = CONFIGS["casme2"](manual_dir=tmp_path / ("x" * 300), data_dir=tmp_path)
    with pytest.raises(JmerError, match=r"manual directory .* does not exist"):
        check(config)


NASTY = (
    *("", " ", "/", "0", "-1", "1e9", "9" * 40, "nan", "٣", "4,11", "x" * 40_000),
    *("sub01", "EP02_01f", "../..", "\x00", "名前", "=1+1", '"', "\r\n", "surprise"),
)


@pytest.mark.parametrize("seed", range(40))
def test_any_sheet_ends_in_a_set_or_in_a_clear_error(seed, tmp_path):
    tree = write("casme2", tmp_path, modality="apex-flow")
    tree.table.unlink()
    rng = np.random.default_rng(seed)
    rows = [list(row) for row in tree.rows]
    for _ in range(rng.integers(1, 4)):
        row = rows[rng.integers(len(rows))]
        row[rng.integers(len(row))] = NASTY[rng.integers(len(NASTY))]
    if seed % 4 == 0:
        rows[rng.integers(len(rows))] = []
    table = tree.table.with_suffix(".csv")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    if seed % 5 == 0:
        content = table.read_bytes()
        table.write_bytes(content[: rng.integers(len(content))])
    try:
        problems, summary = check(tree.config)
    except JmerError as error:
        assert str(tree.root) in str(error)
        return
    assert bool(problems) != bool(summary)
    assert all(str(tree.root) in problem for problem in problems)
    if not problems:
        assert summary.startswith(f"{len(load(tree.config))} clips")


def rows(n):
    return [Row("", i, "sub01", f"c{i}", {}, "1", "2", "3") for i in range(n)]


def test_corrections_by_row_belong_to_the_sheet_of_that_length():
    corrections = by_row(5, "apex", {3: 9})
    fixed, changes = correct(rows(5), corrections)
    assert [row.apex for row in fixed] == ["2", "2", "2", "9", "2"]
    assert changes == ["sub01/c3 (data row 3): apex 2 -> 9"]
    assert correct(rows(6), corrections) == (rows(6), [])


def test_corrections_of_casme2_know_both_sheets():
    from data_builders.casme2.casme2_dataset_builder import Builder

    later, _ = correct(rows(256), Builder.corrections)
    first, _ = correct(rows(255), Builder.corrections)
    assert [r.apex for r in first] == [r.apex for r in later[:222] + later[223:]]
    assert sum(r.apex != "2" for r in later) == 21
    assert (later[29].apex, later[238].apex, later[60].offset) == ("279", "98", "91")


# The published numbers, from label tables that only some machines have.


TABLES = {
    "casme2": "CASME2-coding-20140508",
    "samm": "SAMM_Micro_FACS_Codes_v2",
    "casme_cubed": "cas(me)3_part_A_ME_label_JpgIndex_v2",
}


def published(name, file, header, cells, tmp_path, **fields):
    """What a protocol makes of the real rows, without frames."""
    path = SHARED / "labels" / file
    if not path.exists():
        pytest.skip(f"{file} is not on this machine")
    with path.open(newline="") as table:
        lines = [cells(line) for line in csv.DictReader(table)]
    target = tmp_path / f"{TABLES[name]}.csv"
    with target.open("w", newline="") as table:
        csv.writer(table).writerows([header, *lines])
    return builder_of(
        CONFIGS[name](manual_dir=tmp_path, data_dir=tmp_path / "out", **fields)
    )


def counts(builder):
    annotation = builder.annotation
    assert not annotation.problems
    found = collections.Counter(name for _, name in annotation.chosen)
    return [found[name] for name in builder.class_names()]


def casme2_cells(line):
    keys = ("subject", "clip", "onset", "apex", "offset", "label")
    return [line[k] for k in keys]


CASME2_HEADER = ["Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame"]


@pytest.mark.parametrize(
    ("protocol", "numbers", "subjects"),
    [
        ("5class", [64, 32, 27, 25, 99], 26),
        ("meranet", [64, 32, 25], 26),
        ("megc", [88, 32, 25], 24),
    ],
)
def test_published_counts_of_casme2(protocol, numbers, subjects, tmp_path):
    header = [*CASME2_HEADER, "Estimated Emotion"]
    file = "casme2_5class.csv"
    built = published("casme2", file, header, casme2_cells, tmp_path, protocol=protocol)
    assert counts(built) == numbers
    chosen = {row.key for row, _ in built.annotation.chosen}
    if protocol == "megc":
        with (SHARED / "labels" / "megc2019_3class.csv").open() as table:
            official = {
                (line["subject"], line["clip"]): line["label"]
                for line in csv.DictReader(table)
                if line["dataset"] == "casme2"
            }
        assert {row.key: name for row, name in built.annotation.chosen} == official
        assert len({subject for subject, _ in chosen}) == subjects
    elif protocol == "5class":
        assert len({subject for subject, _ in chosen}) == subjects


def test_published_counts_of_samm(tmp_path):
    header = ["Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame"]
    header = [*header, "Estimated Emotion"]
    built = published("samm", "samm_5class.csv", header, casme2_cells, tmp_path)
    assert counts(built) == [57, 12, 26, 15, 26]
    assert len({row.subject for row, _ in built.annotation.chosen}) == 27
    changes = {c.split(" (")[0]: c.split(": ")[1] for c in built.annotation.changes}
    assert changes["028/028_4_1"] == "apex 1088 -> 1105"


@pytest.mark.parametrize(
    ("protocol", "numbers"),
    [
        ("7class", [161, 250, 187, 86, 64, 57, 55]),
        ("4class", [457, 55, 187, 161]),
        ("3class", [457, 55, 187]),
        ("objective", [15, 151, 234, 37, 47, 3, 373]),
    ],
)
@pytest.mark.parametrize("errata", [True, False])
def test_published_counts_of_casme_cubed(protocol, numbers, errata, tmp_path):
    header = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU"]
    keys = ("subject", "clip", "onset", "apex", "offset", "au", "objective_class")
    built = published(
        "casme_cubed",
        "casme3_parta.csv",
        [*header, "Objective class", "emotion"],
        lambda line: [*(line[k] for k in keys), line["label"]],
        tmp_path,
        protocol=protocol,
        errata=errata,
    )
    assert counts(built) == numbers
    chosen = [row for row, _ in built.annotation.chosen]
    if protocol == "7class":
        assert len({row.subject for row in chosen}) == 94
        order = [int(r.onset) <= int(r.apex) <= int(r.offset) for r in chosen]
        assert order.count(False) == (0 if errata else 4)
        assert len(built.annotation.changes) == (7 if errata else 0)


def test_smic_labels_agree_with_the_published_list(tmp_path):
    """Every clip of the list gets its label from the name of its folder."""
    path = SHARED / "labels" / "smic_3class.csv"
    if not path.exists():
        pytest.skip("the label table is not on this machine")
    with path.open() as table:
        lines = list(csv.DictReader(table))
    for line in lines:
        subject, tag, number = line["clip"].split("_")
        subject = f"s{int(subject[1:])}"
        clip = f"{subject}_{tag}_{number}"
        home = f"SMIC_all_raw/HS/{subject}/micro/{line['label']}/{clip}"
        (tmp_path / home).mkdir(parents=True)
        (tmp_path / home / f"image{int(line['onset']):06d}.bmp").touch()
    built = builder_of(
        CONFIGS["smic"](manual_dir=tmp_path, data_dir=tmp_path / "o", source="raw")
    )
    assert counts(built) == [70, 51, 43]
    made = {(*row.key, name) for row, name in built.annotation.chosen}
    assert made == {(line["subject"], line["clip"], line["label"]) for line in lines}


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("casme2", {"frames": 1}, "frames=1: must be at least 2"),
        ("samm", {"size": 3}, "size=3: must be at least 4"),
        ("smic", {"min_frames": 0}, "min_frames=0: must be at least 1"),
        ("samm", {"context": -1}, "context=-1: must be at least 0"),
        ("samm", {"context": 2}, "context=2 goes with resample=whole .* not with"),
        (
            "samm",
            {"context": 2, "resample": "whole", "modality": "apex-flow"},
            "context=2 goes with .*not with resample=whole and modality=apex-flow",
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


def test_errors_quote_long_cells_in_part(tmp_path):
    tree = write("casme2", tmp_path)
    tree.loaded[1].cells[3] = "9" * 5000
    tree.loaded[2].cells[1] = "x" * 5000
    tree.write_sheet()
    problems, _ = check(tree.config)
    assert len(problems) == 2 and all(len(problem) < 500 for problem in problems)
    assert "'99999" in problems[0] and "xxx…xxx" in problems[1]
