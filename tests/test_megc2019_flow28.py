"""The flow images of MEGC 2019: read as published, and bad input is named."""

import collections
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data_builders import datasets
from data_builders.megc2019_flow28 import Megc2019Flow28
from data_builders.megc2019_flow28 import megc2019_flow28_dataset_builder as builder
from jmer.data import check, load, prepare
from jmer.data.prepared import complete
from jmer.errors import JmerError

HEADER = "dataset,sub,filename_o,label,apex,imagename,sub_filename"
CLIPS = [  # dataset, subject, clip, label; not in the order of names
    ("smic", "s11", "s11_sur_01", 2),
    ("casme2", "sub01", "EP02_01f", 1),
    ("casme2", "sub01", "EP19_05f", 0),
    ("samm", "006", "006_1_3", 0),
    ("samm", "006", "006_1_2", 2),
    ("smic", "s11", "s11_ne_07", 0),
    ("casme2", "sub01", "EP03_02", 1),
]
NO_TRUTH = {"onset": -1, "apex": -1, "offset": -1}


@dataclass
class Tree:
    """A published folder in miniature, and where it is prepared."""

    config: Megc2019Flow28
    flow: dict[str, np.ndarray]

    @property
    def root(self) -> Path:
        assert self.config.manual_dir is not None
        return self.config.manual_dir

    @property
    def table(self) -> Path:
        return self.root / builder.TABLE

    def image(self, row: int) -> Path:
        _, subject, clip, _ = CLIPS[row]
        return self.root / builder.FOLDER / f"{subject}_{clip} .png"

    def write_table(self, lines):
        self.table.write_text("\n".join([HEADER, *lines]) + "\n")

    def edit_line(self, number: int, text: str):
        lines = self.table.read_text().splitlines()
        lines[number - 1] = text
        self.table.write_text("\n".join(lines) + "\n")

    def prepared(self) -> list[Path]:
        """Complete sets, and remains of incomplete ones."""
        home = self.config.data_dir
        return [*home.rglob("dataset_info.json"), *home.rglob("incomplete.*")]


def write_flow(path: Path, flow: np.ndarray) -> None:
    cv2.imwrite(str(path), flow[..., ::-1])  # OpenCV writes blue first


@pytest.fixture
def tree(tmp_path) -> Tree:
    config = Megc2019Flow28(
        manual_dir=tmp_path / "published", data_dir=tmp_path / "prepared"
    )
    rng = np.random.default_rng(5)
    made = Tree(config, {})
    (made.root / builder.FOLDER).mkdir(parents=True)
    for row, (_, _, clip, _) in enumerate(CLIPS):
        made.flow[clip] = rng.integers(0, 256, (28, 28, 3), np.uint8)
        write_flow(made.image(row), made.flow[clip])
    made.write_table(f"{d},{s},{c},{k},,{s}_{c}.jpg," for d, s, c, k in CLIPS)
    return made


def assert_is_the_published_set(clips, tree):
    expected = sorted(CLIPS, key=lambda row: row[:3])
    dataset, subject, clip_id, label = map(np.array, zip(*expected, strict=True))
    assert_array_equal(clips.dataset, dataset)
    assert_array_equal(clips.subject, subject)
    assert_array_equal(clips.clip_id, clip_id)
    assert_array_equal(clips.label, label)
    assert clips.inputs["apex_flow"].dtype == np.uint8
    assert_array_equal(
        clips.inputs["apex_flow"], np.stack([tree.flow[c] for c in clip_id])
    )
    for name, value in NO_TRUTH.items():
        assert (getattr(clips, name) == value).all()


def test_what_was_published_is_what_is_loaded(tree):
    clips = load(tree.config)
    assert clips.name == "megc2019_flow28"
    assert clips.classes == ("negative", "positive", "surprise")
    assert_is_the_published_set(clips, tree)


def test_the_channels_are_horizontal_vertical_and_strain(tree):
    """An encoder of our own, so that no convention of OpenCV is its own proof."""
    image = pytest.importorskip("matplotlib.image")
    image.imsave(tree.image(1), tree.flow["EP02_01f"])
    flow = builder.read_image(tree.image(1))
    assert_array_equal(flow, tree.flow["EP02_01f"])


def test_a_prepared_set_is_not_built_again(tree, monkeypatch):
    folder = prepare(tree.config)
    assert complete(folder)
    files = {p: p.stat().st_mtime_ns for p in folder.iterdir()}

    def forbidden(self):
        raise AssertionError("built again")

    monkeypatch.setattr(builder.Builder, "examples", forbidden)
    assert_is_the_published_set(load(tree.config), tree)
    assert prepare(tree.config) == folder
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == files


def test_the_check_of_a_sound_source_counts(tree):
    problems, summary = check(tree.config)
    assert not problems
    assert summary.splitlines() == [
        "7 clips, 3 subjects",
        "  casme2: 3 clips, 1 subject (1 negative, 2 positive, 0 surprise)",
        "  samm: 2 clips, 1 subject (1 negative, 0 positive, 1 surprise)",
        "  smic: 2 clips, 1 subject (1 negative, 0 positive, 1 surprise)",
    ]
    assert not tree.prepared()


def test_no_manual_directory(tree):
    nowhere = Megc2019Flow28(data_dir=tree.config.data_dir)
    for attempt in (load, check, prepare):
        with pytest.raises(JmerError, match=r"is not prepared in .*--data.manual-dir"):
            attempt(nowhere)
    assert not tree.prepared()


@pytest.mark.parametrize("kind", ["absent", "file"])
def test_a_manual_directory_that_is_none(tree, kind):
    shutil.rmtree(tree.root)
    if kind == "file":
        tree.root.write_text("no folder")
    for attempt in (load, check, prepare):
        with pytest.raises(
            JmerError, match="does not exist or is no folder: give"
        ) as e:
            attempt(tree.config)
        assert str(tree.root) in str(e.value)
    assert not tree.prepared()


def no_table(tree):
    tree.table.unlink()


def no_label_column(tree):
    tree.table.write_text(tree.table.read_text().replace("label", "emotion", 1))


def no_rows(tree):
    tree.write_table([])


def not_text(tree):
    tree.table.write_bytes(b"\x89PNG\xff\xfe\x00")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (no_table, "No such file.*as the manual directory"),
        (no_label_column, "no row with column 'label'.*Restore the published file"),
        (no_rows, "no row with column 'dataset'.*Restore the published file"),
        (not_text, "cannot read .*as the manual directory"),
    ],
)
def test_an_unusable_table(tree, damage, words):
    damage(tree)
    for attempt in (check, prepare, load):
        with pytest.raises(JmerError, match=words) as caught:
            attempt(tree.config)
        assert str(tree.table) in str(caught.value)
    assert not tree.prepared()


def image_missing(tree):
    tree.image(2).unlink()


def image_cut(tree):
    content = tree.image(2).read_bytes()
    tree.image(2).write_bytes(content[: len(content) // 2])


def image_empty(tree):
    tree.image(2).write_bytes(b"")


def image_of_another_kind(tree):
    cv2.imwrite(str(tree.image(2).with_suffix(".bmp")), tree.flow["EP19_05f"])
    tree.image(2).with_suffix(".bmp").replace(tree.image(2))


def image_too_large(tree):
    write_flow(tree.image(2), np.zeros((29, 31, 3), np.uint8))


def label_unknown(tree):
    tree.edit_line(4, "casme2,sub01,EP19_05f,3,,,")


def label_empty(tree):
    tree.edit_line(4, "casme2,sub01,EP19_05f,,,,")


def clip_twice(tree):
    tree.edit_line(4, "casme2,sub01,EP02_01f,1,,,")


def subject_empty(tree):
    tree.edit_line(4, "casme2,,EP19_05f,0,,,")


def dataset_blank(tree):
    tree.edit_line(4, "  ,sub01,EP19_05f,0,,,")


def line_short(tree):
    tree.edit_line(4, "casme2,sub01")


def subject_of_two_sets(tree):
    tree.edit_line(4, "samm,sub01,EP19_05f,0,,,")


IMAGE = "sub01_EP19_05f .png"
DAMAGE = {
    image_missing: [f"line 4: image .*{IMAGE} of clip EP19_05f is missing. Restore"],
    image_cut: [f"{IMAGE} is truncated or no PNG .*Restore it"],
    image_empty: [rf"{IMAGE} is truncated or no PNG \(0 bytes\). Restore it"],
    image_of_another_kind: [f"{IMAGE} is truncated or no PNG .*Restore it"],
    image_too_large: [f"{IMAGE} is 31x29, not 28x28. Restore it"],
    label_unknown: [r"line 4: unknown label '3' of clip EP19_05f. It must be 0 \(neg"],
    label_empty: [r"line 4: unknown label '' of clip EP19_05f. It must be 0 \(neg"],
    clip_twice: ["line 4: duplicate clip EP02_01f of subject sub01, .*line 3. Remove"],
    subject_empty: ["line 4: dataset, subject or clip is empty. Fill it in or remove"],
    dataset_blank: ["line 4: dataset, subject or clip is empty. Fill it in or remove"],
    line_short: ["line 4: dataset, subject or clip is empty. Fill it in or remove"],
    subject_of_two_sets: ["line 4: subject sub01 .*casme2 on line 3.* Prefix"],
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__)
def test_bad_input_is_named(tree, damage):
    damage(tree)
    problems, summary = check(tree.config)
    assert not summary
    assert len(problems) == len(DAMAGE[damage])
    for problem, words in zip(problems, DAMAGE[damage], strict=True):
        assert re.search(words, problem)
        assert str(tree.root) in problem
    for attempt in (prepare, load):
        with pytest.raises(JmerError, match=DAMAGE[damage][0]):
            attempt(tree.config)
    assert not tree.prepared()


def test_all_problems_are_counted(tree):
    for damage in (image_cut, label_unknown):
        damage(tree)
    tree.image(5).unlink()
    problems, _ = check(tree.config)
    assert len(problems) == 3
    with pytest.raises(JmerError, match=r"unknown label.*\(and 2 more: `jmer data ch"):
        prepare(tree.config)


def test_lines_are_counted_as_an_editor_does(tree):
    lines = tree.table.read_text().splitlines()
    tree.table.write_text("\n\n".join(lines).replace(",0,,sub01", ",9,,sub01") + "\n")
    problems, _ = check(tree.config)
    assert len(problems) == 1
    assert "line 7: unknown label '9' of clip EP19_05f" in problems[0]


@pytest.mark.parametrize("change", [image_cut, image_missing, label_unknown])
def test_a_source_that_changed_since_is_refused(tree, change):
    folder = prepare(tree.config)
    change(tree)
    file = tree.table if change is label_unknown else tree.image(2)
    words = f"{re.escape(str(file))} has changed since .*1 files differ.*--overwrite"
    for attempt in (prepare, load):
        with pytest.raises(JmerError, match=words):
            attempt(tree.config)
    # What was prepared is whole, and serves whoever does not ask for the source.
    unasked = Megc2019Flow28(data_dir=tree.config.data_dir)
    assert_is_the_published_set(load(unasked), tree)
    # A source that cannot be prepared does not cost what could be.
    with pytest.raises(JmerError, match=DAMAGE[change][0]):
        prepare(tree.config, overwrite=True)
    assert complete(folder)
    assert_is_the_published_set(load(unasked), tree)


def test_overwrite_takes_the_source_as_it_is_now(tree):
    before = load(tree.config).fingerprint
    tree.flow["EP19_05f"] = 255 - tree.flow["EP19_05f"]
    write_flow(tree.image(2), tree.flow["EP19_05f"])
    prepare(tree.config, overwrite=True)
    clips = load(tree.config)
    assert_is_the_published_set(clips, tree)
    assert clips.fingerprint != before


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_preparation_leaves_nothing(tree, monkeypatch, error):
    whole = builder.Builder.examples

    def half(self):
        for i, example in enumerate(whole(self)):
            if i == 3:
                raise error
            yield example

    with monkeypatch.context() as patch:
        patch.setattr(builder.Builder, "examples", half)
        with pytest.raises(error):
            prepare(tree.config)
    assert not tree.prepared()
    assert_is_the_published_set(load(tree.config), tree)
    assert len(tree.prepared()) == 1


def test_remains_of_a_killed_preparation_are_removed(tree):
    """What `kill -9` leaves is the temporary folder, under the name TFDS gives it."""
    folder = prepare(tree.config)
    (folder / "dataset_info.json").unlink()
    remains = folder.with_name(f"incomplete.A1B2C3_{folder.name}")
    shutil.copytree(folder, remains)
    assert not complete(folder)
    assert_is_the_published_set(load(tree.config), tree)
    assert not remains.exists()
    assert tree.prepared() == [folder / "dataset_info.json"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9999])
def test_a_truncated_prepared_file_is_refused(tree, share):
    folder = prepare(tree.config)
    (file,) = folder.glob("*.array_record*")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        JmerError, match=r"cannot be read .*prepare .* --overwrite"
    ) as e:
        load(tree.config)
    assert str(folder) in str(e.value)
    prepare(tree.config, overwrite=True)
    assert_is_the_published_set(load(tree.config), tree)


def test_a_prepared_file_that_is_missing_is_refused(tree):
    folder = prepare(tree.config)
    next(folder.glob("*.array_record*")).unlink()
    with pytest.raises(JmerError, match=r"cannot be read .*prepare .* --overwrite"):
        load(tree.config)


def test_a_damaged_description_is_refused(tree):
    folder = prepare(tree.config)
    file = folder / "dataset_info.json"
    file.write_text(file.read_text()[:-40])
    for attempt in (load, prepare, lambda c: prepare(c, overwrite=True)):
        with pytest.raises(JmerError, match=r"cannot be read .*[Dd]elete that folder"):
            attempt(tree.config)
    shutil.rmtree(folder)
    assert_is_the_published_set(load(tree.config), tree)


@pytest.mark.parametrize(
    ("blocker", "data_dir"),
    [("b", "b"), ("b", "b/deep"), ("prepared/megc2019_flow28", "prepared")],
)
def test_a_place_below_a_file_is_refused(tree, tmp_path, blocker, data_dir):
    blocker, where = tmp_path / blocker, tmp_path / data_dir
    (tmp_path / "prepared").mkdir()
    blocker.write_text("mine")
    config = Megc2019Flow28(manual_dir=tree.root, data_dir=where)
    for attempt in (prepare, load):
        with pytest.raises(
            JmerError, match=r"cannot write .*Make room there"
        ) as caught:
            attempt(config)
        assert str(where) in str(caught.value)
    assert blocker.read_text() == "mine"
    assert not tree.prepared()


def test_the_set_is_listed():
    assert Megc2019Flow28 in set(datasets())


def test_the_published_set(flow28, tmp_path):
    config = Megc2019Flow28(manual_dir=flow28, data_dir=tmp_path)
    clips = load(config)
    assert len(clips) == 442
    assert len(set(clips.subject)) == 68
    assert np.bincount(clips.label).tolist() == [250, 109, 83]
    assert clips.inputs["apex_flow"].shape == (442, 28, 28, 3)
    people = collections.defaultdict(set)
    for dataset, subject in zip(clips.dataset, clips.subject, strict=True):
        people[str(dataset)].add(subject)
    counts = collections.Counter(clips.dataset.tolist())
    assert counts == {"casme2": 145, "samm": 133, "smic": 164}
    sizes = {name: len(who) for name, who in people.items()}
    assert sizes == {"casme2": 24, "samm": 28, "smic": 16}
