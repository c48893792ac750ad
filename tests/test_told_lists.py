"""What is said of lists of folds: that they are not there, mix people or go unasked,
and of which fold."""

import dataclasses

import pytest
from listed_runs import APART, MIXED, PEOPLE, listed_clips, sides, write_lists
from test_small import experiment_of

from jmer.data.listed import ClipLists
from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError
from jmer.models.ststnet import STSTNetConfig
from jmer.sweep.small import made_small

LISTED = sides(APART, {"f1": PEOPLE[2:], "f2": PEOPLE[:2]})


def lists_of(folder, content, **options):
    return ClipLists(lists=write_lists(folder / "l.json", content), **options)


@pytest.mark.parametrize("name", ["lists.json", "folds.csv", "folder/"])
def test_lists_that_are_not_there(tmp_path, name):
    protocol = ClipLists(lists=tmp_path / name)
    with pytest.raises(JmerError, match="is not there: no file or folder is called"):
        make_folds(protocol, listed_clips())
    (tmp_path / f"{name.strip('/')}1").touch()
    near = f"did you mean '{name.strip('/')}1'"
    with pytest.raises(JmerError, match=near):
        protocol.content()


@pytest.mark.parametrize(
    ("content", "train", "apart"),
    [
        (APART, "others", True),
        (MIXED, "others", False),
        (LISTED, "listed", True),
        (sides(MIXED, {"f1": PEOPLE[2:], "f2": ["toy00"]}), "listed", True),
        (sides(MIXED, {"f1": PEOPLE[1:3], "f2": ["toy00"]}), "listed", None),
        (
            sides(MIXED, {"f1": [["toy01", "clip4"]], "f2": ["toy00"]}),
            "listed",
            False,
        ),
    ],
)
def test_it_is_said_whether_folds_mix_people(tmp_path, content, train, apart):
    clips = listed_clips()
    clips = dataclasses.replace(clips, label=0 * clips.label, classes=("any",))
    protocol = lists_of(tmp_path, content, train=train)
    if apart is None:
        with pytest.raises(JmerError, match="fold f1 trains on clip toy01/clip0"):
            make_folds(protocol, clips)
        return
    folds = make_folds(protocol, clips)
    assert protocol.keeps_apart(folds, clips) == apart
    assert ("NOT" in protocol.describe(folds, clips)) != apart
    if not apart:
        words = r"l\.json: in fold f\d, subject toy01 is trained on and tested\. Put"
        with pytest.raises(JmerError, match=words):
            make_folds(dataclasses.replace(protocol, apart=True), clips)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"f2": [*PEOPLE[2:], "toy00"]}, "clip clip0 of subject toy00 is tested 2"),
        ({"f3": [["toy03", "clip4"]]}, "clip clip4 of subject toy03 is tested 2"),
        ({"f3": ["toy00"], "f4": ["toy00"]}, "clip clip0 of subject toy00 is tested 3"),
    ],
)
def test_a_clip_that_several_folds_test_is_named_with_them(tmp_path, more, words):
    with pytest.raises(JmerError, match=rf"l\.json: .*{words}.* in folds f\d, f"):
        make_folds(lists_of(tmp_path, {**APART, **more}), listed_clips())


def test_other_refusals_name_the_file_too(tmp_path):
    clips = listed_clips()
    lone = [*(["toy00", f"clip{c}"] for c in (0, 3)), ["toy00", "clip1"]]
    content = sides(APART, {"f1": PEOPLE[2:], "f2": lone})
    with pytest.raises(JmerError, match=r"l\.json: fold f2 of .*'surprise' is missing"):
        make_folds(lists_of(tmp_path, content, train="listed"), clips)


@pytest.mark.parametrize("kind", ["json", "csv", "folder"])
def test_lists_of_who_trains_that_nobody_asks(tmp_path, kind):
    if kind == "json":
        place = write_lists(tmp_path / "l.json", LISTED)
    elif kind == "csv":
        place = tmp_path / "l.csv"
        rows = [
            f"{fold},{who},{side}"
            for fold, both in LISTED.items()
            for side, people in both.items()
            for who in people
        ]
        place.write_text("\n".join(["fold,subject,side", *rows]), encoding="utf-8")
    else:
        place = tmp_path
        for fold, both in LISTED.items():
            for side, people in both.items():
                text = "\n".join(["subject", *people])
                (place / f"{side}_{fold}.csv").write_text(text, encoding="utf-8")
    said = ClipLists(lists=place).remark()
    assert f"protocol.lists={place} says who trains in 2 folds" in said
    assert "With --protocol.train listed, it is." in said
    assert not ClipLists(lists=place, train="listed").remark()
    assert not lists_of(tmp_path / "no", APART).remark() and not Loso().remark()


@pytest.mark.parametrize(
    "given", [{"protocol"}, {"protocol", "protocol.lists"}, {"protocol.lists"}, ()]
)
def test_a_small_size_takes_no_lists_whoever_gave_them(tmp_path, given):
    protocol = lists_of(tmp_path, APART)
    base = experiment_of(STSTNetConfig(), protocol=protocol)
    made, said = made_small(base, given)
    assert made.protocol == Loso()
    assert any("protocol Loso instead of ClipLists" in word for word in said)
