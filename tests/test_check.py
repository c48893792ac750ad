"""`check` finds all that `prepare` would refuse, and nothing else, by kind."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest
from damage import column
from downloads import write

from jmer.cli import main
from jmer.data import check, load, prepare
from jmer.data.problems import Problem, grouped
from jmer.errors import JmerError
from jmer.synthetic.layouts.images import write_image


def path_of(tree, clip=1):
    take = tree.loaded[clip]
    return take.path(take.apex)


def resized(tree):
    for clip in (0, 1, 2):
        path = path_of(tree, clip)
        write_image(path, cv2.imread(str(path))[:-3])


def black(tree):
    for clip in (1, 3):
        write_image(path_of(tree, clip), np.zeros((32, 26, 3), np.uint8))


def still(tree):
    take = tree.loaded[1]
    content = path_of(tree).read_bytes()
    for number in take.wanted:
        take.path(number).write_bytes(content)


def apex_is_onset(tree):
    for take in tree.loaded[:2]:
        take.cells[column(tree, "apex")] = take.onset
    tree.write_sheet()


def garbage(tree):
    path_of(tree).write_bytes(b"\xff\xd8" + bytes(range(256)) * 9 + b"\xff\xd9")


def padded(tree):
    for clip in (0, 1):
        path = path_of(tree, clip)
        path.write_bytes(path.read_bytes() + bytes(512))


def cut_and_padded(tree):
    path = path_of(tree)
    path.write_bytes(path.read_bytes()[:-300] + bytes(300))


def of_12_bits(tree):
    for clip in range(len(tree.loaded)):
        take = tree.loaded[clip]
        for number in take.wanted:
            path = take.path(number)
            image = cv2.imread(str(path)).astype(np.uint16) << 4 | 3
            assert cv2.imwrite(str(path.with_suffix(".png")), image)
            path.unlink()


def moment(name, value):
    def damage(tree):
        tree.loaded[1].cells[column(tree, name)] = value(tree.loaded[1])
        tree.write_sheet()

    damage.__name__ = f"{name} {value(tree_like)}"
    return damage


class tree_like:
    onset, offset = 10, 18


def all_at_once(tree):
    resized(tree)
    garbage(tree)
    shutil.rmtree(tree.loaded[4].folder)
    moment("apex", lambda t: t.offset + 5)(tree)
    write_image(path_of(tree, 3), np.zeros((32, 26, 3), np.uint8))


DAMAGES = (
    *(resized, black, still, garbage, padded, cut_and_padded, of_12_bits),
    *(apex_is_onset, all_at_once),
    moment("apex", lambda t: t.onset - 1),
    moment("apex", lambda t: t.offset + 1),
    moment("offset", lambda t: t.offset + 900),
    moment("offset", lambda t: t.onset),
    moment("onset", lambda t: f"{t.onset}.0"),
)
SOUND = (padded,)


@pytest.mark.parametrize(
    "damage", [*DAMAGES, None], ids=lambda f: getattr(f, "__name__", "none")
)
@pytest.mark.parametrize("modality", ["clip", "apex-flow"])
@pytest.mark.parametrize("missing", ["refuse", "neighbour"])
def test_check_is_clean_exactly_when_preparing_succeeds(
    damage, modality, missing, tmp_path
):
    tree = write("casme2", tmp_path, modality=modality, size=16, missing_frames=missing)
    if damage is not None:
        damage(tree)
    problems, summary = check(tree.config)
    assert bool(problems) != bool(summary)
    if not problems:
        assert summary.startswith(f"{len(load(tree.config))} clips")
        return
    with pytest.raises(JmerError) as error:
        prepare(tree.config)
    assert str(error.value).startswith(problems[0])
    assert not list(tree.config.data_dir.rglob("dataset_info.json"))
    if damage in SOUND:
        raise AssertionError(problems)


def test_all_kinds_are_found_at_once(tmp_path, capsys):
    tree = write("casme2", tmp_path)
    all_at_once(tree)
    words = ["data", "check", "casme2", f"--manual-dir={tree.root}"]
    words.append(f"--data-dir={tmp_path / 'out'}")
    assert main(words) == 1
    said = capsys.readouterr().out.splitlines()
    without = said.pop()
    assert without.startswith("without 5 clips: `jmer data check casme2 --manual-dir")
    assert without.count("--exclude ") == 5
    kinds = [line for line in said if not line.startswith("  ")]
    assert sorted(kinds) == [
        "5 problems",
        "clips without a folder: 1",
        "frames of different sizes: 2",
        "frames that show nothing: 1",
        "onset, apex and offset out of order: 1",
    ]
    assert said[-1] == "5 problems"


def test_the_first_of_each_kind_are_shown_or_all():
    problems = [Problem(f"{i}.jpg is empty. Restore it.", "empty") for i in range(5)]
    problems.append("a.csv: line 3 is odd. Correct the list.")
    lines = list(grouped(problems))
    assert lines == [
        "empty: 5",
        *(f"  {i}.jpg is empty. Restore it." for i in range(3)),
        "  and 2 more (--all shows them)",
        "Correct the list: 1",
        "  a.csv: line 3 is odd. Correct the list.",
        "6 problems",
    ]
    assert len(list(grouped(problems, None))) == 9


def test_clips_without_motion_are_named(tmp_path, capsys):
    tree = write("casme2", tmp_path, modality="apex-flow", size=16)
    apex_is_onset(tree)
    title = "/".join(tree.loaded[0].key)
    words = f"2 of {len(tree.loaded)} clips have no motion from onset to apex"
    _, summary = check(tree.config)
    assert words in summary and title in summary
    said = []
    prepare(tree.config, say=said.append)
    assert len(said) == 1 and words in said[0]
    clip = dataclasses.replace(tree.config, modality="clip")
    assert "motion" not in check(clip)[1]
    shown = dataclasses.replace(clip, special="sf")
    assert "sf shows nothing of them" in check(shown)[1]


def test_a_wrong_remedy_is_not_offered(tmp_path):
    tree = write("casme2", tmp_path)
    tree.loaded[1].cells[column(tree, "apex")] = "x7"
    tree.write_sheet()
    assert "--missing-apex" not in check(tree.config)[0][0]
    for word in ("/", "nan", "N/A", "-"):
        tree.loaded[1].cells[column(tree, "apex")] = word
        tree.write_sheet()
        assert "--missing-apex middle" in check(tree.config)[0][0]
        middle = dataclasses.replace(tree.config, missing_apex="middle")
        assert not check(middle)[0]


def test_sums_below_the_clips_are_counted_and_no_clips(tmp_path):
    tree = write("casme2", tmp_path)
    before = check(tree.config)[1].splitlines()[0]
    tree.rows.extend([[], ["Total", None, 8], [None] * 7])
    tree.rows.append(["coded by two", None])
    tree.write_sheet()
    said = check(tree.config)[1]
    assert said.splitlines()[0] == before
    assert "left out: 2 lines of the sheet that are no recordings" in said
    tree.rows.insert(tree.top + 1, ["Subtotal"])  # among clips, it may be one
    tree.write_sheet()
    assert "subject or clip is empty" in check(tree.config)[0][0]
