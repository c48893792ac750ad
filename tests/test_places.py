"""Sets that do not lie where they were said to lie, or are called otherwise."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
from downloads import write

from jmer.data import check
from jmer.errors import JmerError


def suggested(error):
    """The folder that an error says to give."""
    found = re.search(r"They are there with --manual-dir (.*) instead\.", str(error))
    return Path(shlex.split(found[1])[0]) if found else None


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("casme2", "Cropped"),
        ("casme2", "Cropped/sub01"),
        ("samm", "SAMM"),
        ("casme_cubed", "Part_A_ME_clip"),
        ("casme_cubed", "Part_A_ME_clip/frame"),
        ("smic_long", "SMIC-E_raw image"),
        ("casme2", "notes"),
    ],
)
def test_a_folder_too_low(name, place, tmp_path):
    tree = write(name, tmp_path / "with a blank")
    config = dataclasses.replace(tree.config, manual_dir=tree.root / place)
    with pytest.raises(JmerError) as error:
        check(config)
    assert suggested(error.value) == tree.root
    there = dataclasses.replace(config, manual_dir=suggested(error.value))
    assert not check(there)[0]


def test_a_folder_too_high(tmp_path):
    tree = write("casme2", tmp_path / "data/of/us/casme")
    config = dataclasses.replace(tree.config, manual_dir=tmp_path)
    with pytest.raises(JmerError) as error:
        check(config)
    there = dataclasses.replace(config, manual_dir=suggested(error.value))
    assert not check(there)[0]


def test_nothing_near(tmp_path):
    tree = write("casme2", tmp_path / "a")
    tree.table.unlink()
    with pytest.raises(JmerError, match="--table FILE") as error:
        check(tree.config)
    assert suggested(error.value) is None


@pytest.mark.parametrize("called", ["Subject {}", "S-{}", "p{}b"])
def test_names_of_subjects_that_do_not_fit(called, tmp_path):
    tree = write("casme2", tmp_path)
    homes = sorted((tree.root / "Cropped").iterdir())
    first = homes[0].rename(homes[0].with_name(called.format(1)))
    problems, _ = check(tree.config)
    words = f"(where {first.name} are not called as subjects, such as sub01)"
    assert problems and all(words in problem for problem in problems)
    for i, home in enumerate(homes[1:], start=2):
        home.rename(home.with_name(called.format(i)))
    with pytest.raises(JmerError) as error:
        check(tree.config)
    words = f"are {called.format(1)}, {called.format(2)}, {called.format(3)}, but subj"
    assert words in str(error.value)
    assert r"called as sub01 (sub\d+)." in str(error.value)


def test_the_remedy_for_two_sheets_chooses_one(tmp_path):
    tree = write("casme2", tmp_path)
    copy = tree.root / "notes" / tree.table.name
    copy.write_bytes(tree.table.read_bytes())
    with pytest.raises(JmerError, match="2 annotation sheets") as error:
        check(tree.config)
    chosen = re.search(r"such as --table (.*), or remove", str(error.value))[1]
    assert not check(dataclasses.replace(tree.config, table=shlex.split(chosen)[0]))[0]
    near = dataclasses.replace(tree.config, table=tree.table.name[:-1])
    with pytest.raises(
        JmerError, match=rf"did you mean '{re.escape(tree.table.name)}'"
    ):
        check(near)


@pytest.mark.parametrize("both", [False, True])
def test_each_of_two_sheets_can_be_named(both, tmp_path):
    tree = write("samm_long", tmp_path)
    clips = tree.root / "SAMM_Micro_FACS_Codes_v2.xlsx"
    clips = clips.rename(tree.root / "of clips.xlsx")
    with pytest.raises(JmerError) as error:
        check(tree.config)
    asked = re.search(r"its name with --table (.*)FILE", str(error.value))[1]
    table = f"{asked}{clips.name}"
    if both:
        videos = next(tree.root.glob("SAMM_LongVideos*"))
        table = f"{videos.rename(tree.root / 'v.xlsx').name},{clips.name}"
    assert not check(dataclasses.replace(tree.config, table=table))[0]


def test_names_with_dates_and_files_of_open_programs(tmp_path):
    tree = write("samm", tmp_path)
    dated = tree.root / "SAMM_20181215_Micro_FACS_Codes_v2 (1).xlsx"
    tree.table.rename(dated)
    dated.with_name(f"~${dated.name}").write_bytes(b"\0user")
    assert not check(tree.config)[0]
