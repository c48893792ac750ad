"""FER2013: a table of pixels becomes images, or one clear error."""

import dataclasses
import re
import shlex

import numpy as np
import pytest

from data_builders.fer2013 import EMOTIONS, PLUS, Fer2013
from data_builders.fer2013.votes import majority
from jmer.cli import main
from jmer.data import check, load, prepare
from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError
from jmer.synthetic.layouts.fer2013 import Fer2013Layout
from jmer.synthetic.layouts.write import synthesize
from jmer.synthetic.spec import CLASS_NAMES, SyntheticSpec
from jmer.synthetic.stills import render_still

USAGES = ("Training", "Training", "PublicTest", "PrivateTest")
N = 15


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (N, 48, 48, 1), np.uint8)


def table(images) -> list[list[str]]:
    return [
        [f"{i % 7}", " ".join(map(str, image.ravel())), USAGES[i % 4]]
        for i, image in enumerate(images)
    ]


def write(folder, rows, header="emotion,pixels,Usage"):
    text = "\n".join([header, *(",".join(row) for row in rows), ""])
    (folder / "fer2013.csv").write_text(text)
    return Fer2013(manual_dir=folder, data_dir=folder / "out")


def test_what_is_written_is_what_is_loaded(images, tmp_path):
    config = write(tmp_path, table(images))
    problems, summary = check(config)
    assert not problems
    lines = summary.splitlines()
    assert lines[0] == (
        "15 images, no subjects (3 angry, 2 disgust, 2 fear, 2 happy, 2 sad, "
        "2 surprise, 2 neutral)"
    )
    assert "  note: 2 disgust, 547 were published" in lines
    assert "  note: 8 training, 28709 were published" in lines
    clips = load(config)
    assert clips.classes == EMOTIONS
    place = [int(name) for name in clips.clip_id]
    assert sorted(place) == list(range(N))
    np.testing.assert_array_equal(clips.inputs["image"], images[place])
    assert clips.label.tolist() == [i % 7 for i in place]
    assert clips.subject.tolist() == [USAGES[i % 4].lower() for i in place]
    assert not clips.onset.any() and not clips.offset.any()


def test_only_the_test_images_are_tested(images, tmp_path):
    clips = load(write(tmp_path, table(images)))
    folds = make_folds(Loso(), clips)
    assert sorted(fold.name for fold in folds) == ["privatetest", "publictest"]
    for fold in folds:
        assert set(clips.subject[fold.test]) == {fold.name}
        assert "training" in clips.subject[fold.train]


def test_columns_may_be_in_another_order(images, tmp_path):
    rows = [[usage, "x", pixels, emotion] for emotion, pixels, usage in table(images)]
    clips = load(write(tmp_path, rows, " Usage,other,Pixels,EMOTION"))
    assert len(clips) == N


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        (0, lambda text: "7", "unknown emotion '7'; it must be 0 to 6"),
        (0, lambda text: "", "unknown emotion ''"),
        (1, lambda text: text.rsplit(" ", 1)[0], "2303 pixels instead of 2304"),
        (1, lambda text: text + " 0", "2305 pixels instead of 2304"),
        (1, lambda text: text + "x", "pixels are not all whole numbers"),
        (1, lambda text: "-" + text, "pixels are not all whole numbers"),
        (1, lambda text: "", "pixels are not all whole numbers"),
        (1, lambda text: "256 " + text.split(" ", 1)[1], "pixel 256 is not in 0..255"),
        (1, lambda text: "9" * 30 + " " + text.split(" ", 1)[1], "is not in 0..255"),
        (2, lambda text: "Test", "unknown usage 'Test'; it must be one of Training"),
    ],
)
def test_damaged_rows_are_named(column, change, words, images, tmp_path):
    rows = table(images)
    rows[4][column] = change(rows[4][column])
    config = write(tmp_path, rows)
    problems, summary = check(config)
    assert not summary and len(problems) == 1
    assert re.search(rf"fer2013.csv, line 6: .*{words}.*Restore", problems[0])
    with pytest.raises(JmerError, match="line 6"):
        prepare(config)
    assert not list(config.data_dir.rglob("dataset_info.json"))


def test_of_many_damaged_rows_some_are_named(images, tmp_path):
    rows = [["0", "1 2", "Training"]] * 30
    problems, _ = check(write(tmp_path, rows))
    assert len(problems) == 21 and "10 more such lines" in problems[-1]


def test_a_table_that_cannot_be_used(images, tmp_path):
    config = Fer2013(manual_dir=tmp_path, data_dir=tmp_path / "out")
    with pytest.raises(JmerError, match=r"no fer2013.csv in .*put it there"):
        check(config)
    write(tmp_path, table(images), "emotion,pixels")
    with pytest.raises(JmerError, match="no column 'usage' in its first line"):
        check(config)
    write(tmp_path, [])
    assert "has no images" in check(config)[0][0]
    (tmp_path / "fer2013.csv").write_bytes(b"\xff\xfe\x00emotion")
    with pytest.raises(JmerError, match=r"cannot read .*restore"):
        check(config)
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n0," + "1 " * 200_000)
    with pytest.raises(JmerError, match="field larger than field limit"):
        check(config)


def test_a_row_cut_off_at_the_end(images, tmp_path):
    config = write(tmp_path, table(images))
    path = tmp_path / "fer2013.csv"
    path.write_bytes(path.read_bytes()[:-4000])
    problems, _ = check(config)
    assert len(problems) == 1 and "line 16: " in problems[0]


# --- FER+

VOTES = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
# The first rows of the published table, and how its code reads them: 4 of the 9 votes
# that two people or more share are no majority, 6 of 8 are one.
FIRST = ("4,0,0,1,3,2,0,0,0,0", "6,0,1,1,0,0,0,0,2,0", "9,0,0,1,0,0,0,0,0,0")


@pytest.mark.parametrize(
    ("votes", "name"),
    [
        (FIRST[0], None),
        (FIRST[1], "neutral"),
        (FIRST[2], "neutral"),
        ("0,0,0,0,0,0,0,10,0,0", "contempt"),
        ("0,1,1,1,1,1,1,1,1,2", None),  # no face, of which two are sure
        ("0,2,0,0,0,0,0,0,8,0", None),  # unknown
        ("0,5,5,0,0,0,0,0,0,0", None),  # half is no majority
        ("1,5,1,1,1,1,0,0,0,0", "happiness"),  # single votes are mistakes
        ("1,1,1,1,1,1,1,1,1,1", None),
        ("0,0,0,0,0,0,0,0,0,0", None),
    ],
)
def test_the_majority_of_votes_is_as_published(votes, name):
    found = majority([int(n) for n in votes.split(",")])
    assert (None if found is None else PLUS[found]) == name


def plus(folder, images, votes, change=lambda rows: rows, header=None):
    config = write(folder, table(images))
    rows = [f"{USAGES[i % 4]},fer{i:07d}.png,{votes[i % len(votes)]}" for i in range(N)]
    lines = [header or f"Usage,Image name,{VOTES}", *change(rows), ""]
    (folder / "fer2013new.csv").write_text("\n".join(lines))
    return dataclasses.replace(config, labels="fer+")


def test_images_have_the_label_of_most_votes(images, tmp_path):
    votes = [*FIRST, "0,0,0,0,0,0,0,10,0,0"]
    config = plus(tmp_path, images, votes)
    problems, summary = check(config)
    assert not problems
    # Of 15 images 0, 4, 8 and 12 have no majority.
    assert summary.splitlines()[:2] == [
        "11 images, no subjects (8 neutral, 0 happiness, 0 surprise, 0 sadness, "
        "0 anger, 0 disgust, 0 fear, 3 contempt)",
        "  left out: 4 images without a majority of votes for one of these emotions",
    ]
    assert "  note: 8 neutral, 11012 were published" in summary
    clips = load(config)
    assert clips.classes == PLUS and len(PLUS) == 8
    kept = [i for i in range(N) if i % 4]
    order = np.argsort(clips.clip_id)
    assert [int(name) for name in clips.clip_id[order]] == kept
    np.testing.assert_array_equal(clips.inputs["image"][order], images[kept])
    words = [clips.classes[i] for i in clips.label[order]]
    assert words == ["contempt" if i % 4 == 3 else "neutral" for i in kept]


def test_its_own_labels_are_prepared_where_they_were():
    assert Fer2013().config_name == "default" != Fer2013(labels="fer+").config_name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "has 14 rows, and .* 15 images.*Restore"),
        (lambda rows: [*rows[1:], rows[0]], "line 3: usage 'publictest' of an image"),
        (lambda rows: [rows[0].replace(",4,", ",x,"), *rows[1:]], "line 2: 'x' is no"),
        (lambda rows: [rows[0].replace(",4,", ",-4,"), *rows[1:]], "'-4' is no number"),
        (lambda rows: [rows[0].rsplit(",", 1)[0], *rows[1:]], "line 2: '' is no"),
    ],
)
def test_damaged_votes_are_named(change, words, images, tmp_path):
    config = plus(tmp_path, images, FIRST, change)
    (problem,) = check(config)[0]
    assert re.search(f"fer2013new.csv.*{words}", problem)
    with pytest.raises(JmerError, match="fer2013new"):
        prepare(config)


def test_votes_that_are_not_there(images, tmp_path, capsys):
    config = dataclasses.replace(write(tmp_path, table(images)), labels="fer+")
    with pytest.raises(JmerError, match=r"no fer2013new.csv in .*put it beside"):
        check(config)
    words = ["data", "check", "fer2013", f"--manual-dir={tmp_path}", "--labels=fer+"]
    assert main(words) == 1
    told = capsys.readouterr().err
    other = re.search(r"choose (--labels fer2013)\.", told)
    assert other and main([*words[:-1], *other[1].split()]) == 0
    config = plus(tmp_path, images, FIRST, header="Usage,neutral")
    with pytest.raises(JmerError, match="no column 'happiness' in its first line"):
        check(config)


# --- synthetic faces in this form

USE = ["training", "publictest", "privatetest"]
SPEC = SyntheticSpec(subjects=5, clips=35, size=32, classes=5, difficulty=0, noise=0)


@pytest.mark.parametrize("quirks", [False, True], ids=["", "quirks"])
def test_the_printed_commands_read_what_was_synthesized(quirks, tmp_path, capsys):
    out = tmp_path / "set"
    size = ["--subjects", "2", "--clips", "11", "--size", "32", *["--quirks"] * quirks]
    assert (
        main(["data", "synthesize", "--layout", "fer2013", f"--out={out}", *size]) == 0
    )
    said = capsys.readouterr().out
    assert said.startswith("11 clips of 3 subjects")
    commands = [line for line in said.splitlines() if line.startswith("  jmer ")]
    assert len(commands) == 2
    for line in commands:
        assert main(shlex.split(line)[1:]) == 0
    header = (out / "fer2013.csv").read_text().splitlines()[0]
    assert header == ("emotion, Usage, pixels" if quirks else "emotion,pixels,Usage")
    assert ("all black" in (out / "jmer-manifest.json").read_text()) == quirks
    clips = load(Fer2013(manual_dir=out, data_dir=tmp_path / "set-prepared"))
    black = [image.max() == 0 for image in clips.inputs["image"]]
    assert sum(black) == quirks


def test_synthetic_images_are_what_their_rows_say(tmp_path):
    draft = synthesize(Fer2013Layout(), SPEC, tmp_path / "set")
    clips = load(Fer2013(manual_dir=tmp_path / "set", data_dir=tmp_path / "out"))
    order = np.argsort(clips.clip_id)
    assert clips.clip_id[order].tolist() == [take.clip for take in draft.takes]
    assert clips.subject[order].tolist() == [take.subject for take in draft.takes]
    words = [clips.classes[i] for i in clips.label[order]]
    assert words == [take.labels["emotion"] for take in draft.takes]
    assert [words.count(name) > 0 for name in EMOTIONS] == [True] * 7
    assert sorted(take.index for take in draft.takes) == list(range(35))
    uses = [take.subject for take in draft.takes]
    assert uses == sorted(uses, key=USE.index)
    assert [uses.count(use) for use in USE] == [21, 7, 7]


def test_an_expression_moves_its_part_of_the_face():
    """Eyes and brows lie in the upper half, of which the mouth has nothing."""
    rest, joy, surprise, fear = (
        render_still(SPEC, 2, emotion).astype(float)
        for emotion in (None, "happiness", "surprise", "fear")
    )
    upper, lower = slice(0, 16), slice(16, 32)
    change = {name: np.abs(image - rest).mean(-1) for name, image in
              (("joy", joy), ("surprise", surprise), ("fear", fear))}  # fmt: skip
    assert all(x.max() > 20 for x in change.values())
    assert change["joy"][lower].mean() > 2 * change["joy"][upper].mean()
    assert change["surprise"][upper].mean() > 1
    other = dataclasses.replace(SPEC, difficulty=1.0)
    weak = render_still(other, 2, "happiness") - rest
    assert np.abs(weak).mean() < change["joy"].mean()


@pytest.mark.parametrize("classes", CLASS_NAMES)
def test_every_class_can_occur(classes, tmp_path):
    spec = SyntheticSpec(subjects=2, clips=40, size=32, classes=classes)
    draft = synthesize(Fer2013Layout(), spec, tmp_path / "set")
    assert {take.labels["emotion"] for take in draft.takes} == set(EMOTIONS)
