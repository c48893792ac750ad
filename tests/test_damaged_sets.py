"""Damaged sets of frames: each kind of damage ends in one clear error."""

import csv
import dataclasses
import re
import shutil

import cv2
import numpy as np
import pytest
from damage import (
    VIDEOS,
    clip_in_other_letters,
    column,
    copied,
    folder_missing,
    folder_twice,
    frame_cut,
    frame_empty,
    frame_is,
    frame_missing,
    frame_of_another_kind,
    frame_twice,
    offset_huge,
    refuses,
    row_twice,
    set_cell,
    subject_blank,
    subject_twice,
)
from downloads import COLUMNS, CONFIGS, FRAME_SETS, write

from jmer.cli import main
from jmer.data import check, load, prepare
from jmer.errors import JmerError
from jmer.synthetic.layouts.images import write_image

ALL = FRAME_SETS
SHEETS = sorted(COLUMNS)

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
        words = "no folder .* with subjects in .* put the .* images there"
        if name not in ("dfme", "fourdme", "mmew"):  # which have no other
            words += ", or choose another --source: --source [a-z]+"
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


def test_errors_quote_long_cells_in_part(tmp_path):
    tree = write("casme2", tmp_path)
    tree.loaded[1].cells[3] = "9" * 5000
    tree.loaded[2].cells[1] = "x" * 5000
    tree.write_sheet()
    problems, _ = check(tree.config)
    assert len(problems) == 2 and all(len(problem) < 500 for problem in problems)
    assert "'99999" in problems[0] and "xxx…xxx" in problems[1]
