"""MMEW: corrections of its sheet, and clips that lie anywhere."""

import collections
import re
import shutil

import pytest
from downloads import write

from data_builders.annotation import SheetRow, correct
from data_builders.mmew import Mmew
from data_builders.mmew.mmew_dataset_builder import Builder
from jmer.data import check, load

MERGED = {"disgust": "negative", "anger": "negative", "repression": "others"}


def rows(n):
    return [SheetRow("", i, "S01", f"c{i}", {}, "1", "2", "3") for i in range(n)]


def test_corrections_belong_to_the_sheet_of_300():
    fixed, changes = correct(rows(300), Builder.corrections)
    assert len(changes) == 32
    ends = {row.number: (int(row.apex), int(row.offset)) for row in fixed}
    assert (ends[33], ends[148], ends[156]) == ((40, 75), (29, 108), (38, 106))
    assert ends[34] == (2, 3)
    assert correct(rows(299), Builder.corrections)[1] == []


@pytest.mark.parametrize("quirks", [False, True])
@pytest.mark.parametrize("classes", ["7class", "4class", "3class"])
def test_classes_are_merged(classes, quirks, tmp_path):
    tree = write("mmew", tmp_path, quirks=quirks, classes=classes)
    clips = load(tree.config)
    found = dict(
        zip(clips.clip_id, (clips.classes[i] for i in clips.label), strict=True)
    )
    words = {t.key[1]: t.take.labels["emotion"] for t in tree.takes}
    merged = MERGED | {"happiness": "positive"}
    if classes == "7class":
        merged = {"repression": "others"}
    expected = {clip: merged.get(word, word) for clip, word in words.items()}
    if classes == "3class":
        expected = {c: name for c, name in expected.items() if name != "others"}
    assert found == expected
    assert collections.Counter(words.values())["repression"] >= 1
    assert set(clips.frame_rate) == {90}


def test_a_clip_in_two_places(tmp_path):
    tree = write("mmew", tmp_path)
    folder = tree.loaded[1].folder
    shutil.copytree(folder, folder.parent.parent / "fear" / folder.name)
    problems, _ = check(tree.config)
    assert len(problems) == 1
    assert re.search(
        r"row \d+: clip S01/.* lies in .* and in .*. Remove one", problems[0]
    )


def test_the_folder_itself_may_be_given(tmp_path):
    tree = write("mmew", tmp_path)
    home = tree.root / "MMEW_Final" / "Micro_Expression"
    shutil.move(tree.table, home)
    config = Mmew(manual_dir=home, data_dir=tree.config.data_dir)
    problems, summary = check(config)
    assert not problems and summary.startswith("8 clips, 3 subjects")
