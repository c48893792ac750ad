"""Files that begin with another number than the owners': read right, or refused."""

import dataclasses

import downloads
import numpy as np
import pytest

from data_builders.annotation import SheetRow
from data_builders.numbering import Counted, judge
from jmer.data import check, load
from jmer.data.problems import grouped


def numbered_anew(tree, files, sheet, *, cut=()):
    """Each folder's files count from `files`, and its rows of the sheet from `sheet`;
    of the clips `cut` nothing is left after the offset."""
    columns = downloads.COLUMNS[tree.name]
    firsts = {}
    for seen in tree.takes:
        first = min([seen.images.first, firsts.get(seen.folder, seen.images.first)])
        firsts[seen.folder] = first
    renames = {}
    for i, seen in enumerate(tree.takes):
        first = firsts[seen.folder]
        for name in ("onset", "apex", "offset"):
            seen.cells[columns[name]] = getattr(seen, name) - first + sheet
        for number in seen.images.numbers:
            path = seen.path(number)
            if i in cut and number > seen.offset:
                path.unlink()
            else:
                renames[path] = seen.path(number - first + files)
    aside = {path: path.with_name(f"_{path.name}") for path in renames}
    for path, other in aside.items():
        path.rename(other)
    for path, new in renames.items():
        aside[path].rename(new)
    tree.write_sheet()


def frames_of(tree):
    return load(tree.config).inputs


SETS = [("mmew", 1), ("casme2", 1), ("samm", 1), ("dfme", 0)]


@pytest.mark.parametrize(("name", "owners"), SETS)
def test_files_that_one_clip_shows_to_be_one_off_are_read_right(name, owners, tmp_path):
    before = frames_of(downloads.write(name, tmp_path / "a"))
    tree = downloads.write(name, tmp_path / "b")
    if owners:
        numbered_anew(tree, 0, 1, cut=[2])
    else:  # a clip begins with frame 0, which no file is called
        numbered_anew(tree, 1, 0)
        seen = tree.takes[3]
        seen.cells[downloads.COLUMNS[name]["onset"]] = 0
        tree.write_sheet()
        before = {}
    problems, said = check(tree.config)
    assert problems == []
    assert f"files begin with {1 - owners} and the sheet counts from {owners}" in said
    after = frames_of(tree)
    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array)


@pytest.mark.parametrize(("name", "owners"), [*SETS, ("casme_squared", 1)])
def test_files_that_may_be_one_off_are_refused(name, owners, tmp_path):
    tree = downloads.write(name, tmp_path)
    numbered_anew(tree, 1 - owners, owners)
    problems, _ = check(tree.config)
    assert len(problems) == 1
    late = "early" if owners == 0 else "late"
    for words in (f"read one {late}", "--numbering same", "--numbering files-from-"):
        assert words in problems[0]
    assert "sheet calls" in list(grouped(problems))[1]


@pytest.mark.parametrize("name", ["mmew", "dfme"])
def test_what_the_user_says_counts(name, tmp_path):
    owners = {"mmew": 1, "dfme": 0}[name]
    published = frames_of(downloads.write(name, tmp_path / "a"))
    tree = downloads.write(name, tmp_path / "b")
    numbered_anew(tree, 1 - owners, owners)
    asked = f"files-from-{1 - owners}"
    right = dataclasses.replace(tree.config, numbering=asked)
    same = dataclasses.replace(tree.config, numbering="same")
    shifted, late = frames_of(dataclasses.replace(tree, config=right)), load(same)
    for key, array in published.items():
        np.testing.assert_array_equal(shifted[key], array)
        assert np.any(late.inputs[key] != array)


def test_a_sheet_that_counts_from_0_is_told_of_files_that_do_not(tmp_path):
    tree = downloads.write("mmew", tmp_path)
    numbered_anew(tree, 1, 1)
    onset = downloads.COLUMNS["mmew"]["onset"]
    tree.takes[0].cells[onset] = 0
    tree.write_sheet()
    lenient = dataclasses.replace(tree.config, missing_frames="neighbour")
    for config in (tree.config, lenient):
        (problem,), _ = check(config)
        assert "begins with frame 0" in problem
        assert "--numbering files-from-1" in problem


def test_sets_as_their_owners_count_are_prepared_as_before(tmp_path):
    tree = downloads.write("mmew", tmp_path)
    config = tree.config
    assert "numbering" not in config.recipe
    assert dataclasses.replace(config, numbering="same").recipe["numbering"] == "same"
    assert "files begin" not in check(config)[1]


def clip(first, last, onset, offset):
    row = SheetRow("sheet, row 2", 0, "s1", "a", {}, "", "", "")
    return Counted(row, downloads.Path("s1/a"), first, last, onset, offset)


@pytest.mark.parametrize(
    ("owners", "clips", "shift", "refused"),
    [
        # As the owners have it.
        (1, [(1, 9, 1, 9), (46, 90, 46, 90)], 0, False),
        (0, [(0, 9, 0, 9), (0, 5, 2, 4)], 0, False),
        (None, [(1, 9, 2, 8), (7, 20, 8, 19)], 0, False),
        (None, [(0, 9, 0, 9), (0, 9, 3, 9)], 0, False),
        # One frame of a set that begins with 0 is lost, or what the sheet lacks.
        (0, [(0, 9, 0, 9), (1, 9, 1, 8)], 0, False),
        (0, [(1, 9, 1, 9)], 0, False),
        # A clip fits one way only.
        (1, [(0, 9, 1, 10), (0, 9, 3, 8)], 1, False),
        (0, [(1, 9, 0, 7), (1, 9, 3, 8)], -1, False),
        # Nothing tells, or what tells contradicts itself.
        (1, [(0, 9, 1, 9)], 0, True),
        (1, [(0, 9, 1, 10), (46, 90, 46, 90)], 0, True),
        (1, [(0, 9, 1, 10), (0, 9, 0, 9)], 0, True),
        (1, [(0, 9, 0, 9)], 0, True),
        (0, [(1, 9, 1, 8)], 0, True),
        (None, [(0, 9, 1, 9)], 0, True),
        (None, [(0, 9, 1, 10), (0, 9, 2, 9)], 0, True),
        (None, [(1, 9, 0, 8)], 0, True),
        (1, [(1, 9, 0, 8), (1, 9, 1, 8)], 0, True),
    ],
)
def test_what_numbers_tell(owners, clips, shift, refused):
    verdict = judge(owners, [clip(*numbers) for numbers in clips])
    assert verdict.shift == shift
    assert bool(verdict.problems) == refused
    assert bool(verdict.note) == bool(shift)
