"""Folds that are written down: read as they are, or refused with the line."""

import csv
import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import SHARED
from numpy.testing import assert_array_equal
from several import make, predictions_of
from toy import make_clips

from jmer.cli import main
from jmer.data.listed import ClipLists
from jmer.data.splits import Loso, make_folds, protocol_of
from jmer.errors import JmerError, UsageError
from jmer.experiment import load_experiment
from jmer.files import read_json, write_json
from jmer.files.seal import unsealed
from jmer.runs.run import read_run

PEOPLE = ["spNO.1", "spNO.1", "spNO.2", "spNO.2", "spNO.3", "spNO.3"]
CLIPS = ["a_3", "a_90", "b_7", "J_7", "c_1", "d_2"]


def clips_of(people=PEOPLE, names=CLIPS):
    n = len(people)
    return replace(
        make_clips(n, 1, size=2),
        subject=np.array(people),
        clip_id=np.array(names),
        label=np.zeros(n, np.int32),
        classes=("any",),
    )


def write(folder, **lists):
    folder.mkdir(exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def folder(tmp_path):
    """As the authors of HSTA publish theirs."""
    header = "Subject,Filename,Onset,Apex,emotion"
    return write(
        tmp_path / "lists",
        test_fold_1=[header, "spNO.1,a,3,5,sad", "spNO.2,j,7,8,sad"],
        test_fold_2=[header, "spNO.1,a,90,95,sad", "spNO.3,c,1,2,sad"],
        test_fold_3=[header, "spno.2,B,7,9,sad", "spNO.3,d,2,5,sad"],
        train_fold_1=[header, "spNO.9,z,1,2,sad"],
    )


def sides(folds):
    return {fold.name: fold.test.tolist() for fold in folds}


def test_a_list_for_each_fold(folder):
    folds = make_folds(ClipLists(lists=folder, k=3), clips_of())
    assert sides(folds) == {"fold_1": [0, 3], "fold_2": [1, 4], "fold_3": [2, 5]}
    for fold in folds:
        both = np.sort(np.concatenate([fold.train, fold.test]))
        assert_array_equal(both, np.arange(6))
    said = ClipLists(lists=folder).describe(folds, clips_of())
    assert said == "3 folds from lists of clips, NOT subject-independent"


def test_one_list_of_all_folds(tmp_path):
    lines = [
        f"{s},{c},{i % 2}" for i, (s, c) in enumerate(zip(PEOPLE, CLIPS, strict=True))
    ]
    write(tmp_path, all=["subject,clip,fold", *lines])
    folds = make_folds(ClipLists(lists=tmp_path / "all.csv"), clips_of())
    assert sides(folds) == {"0": [0, 2, 4], "1": [1, 3, 5]}


def test_subjects_that_the_lists_keep_apart(tmp_path, folder):
    lines = [f"{s},{c},{s[-1]}" for s, c in zip(PEOPLE, CLIPS, strict=True)]
    write(tmp_path, all=["subject,clip,fold", *lines])
    apart = ClipLists(lists=tmp_path / "all.csv", apart=True)
    assert apart.subject_independent
    folds = make_folds(apart, clips_of())
    assert [f.test.tolist() for f in folds] == [
        f.test.tolist() for f in make_folds(Loso(), clips_of())
    ]
    assert "NOT" not in apart.describe(folds, clips_of())
    with pytest.raises(JmerError, match=r"subject spNO\.1 is trained on and tested"):
        make_folds(ClipLists(lists=folder, apart=True), clips_of())


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("test_fold_1", "spNO.4,a,3,5,sad", r"line 4: .* has no clip spNO\.4/a_3"),
        ("test_fold_2", "spNO.1,a,4,5,sad", r"test_fold_2\.csv, line 4"),
        ("test_fold_3", "spNO.1,,4,5,sad", r"line 4 has no clip\. A list of clips has"),
        ("test_fold_3", ",a,4,5,sad", r"line 4 has no subject"),
        ("test_fold_2", "spNO.1,a,3,5,sad", r"clip a_3 .*is tested 2 times"),
    ],
)
def test_lines_that_cannot_be_used_are_named(folder, name, line, words):
    with (folder / f"{name}.csv").open("a") as opened:
        opened.write(f"{line}\n")
    with pytest.raises(JmerError, match=words):
        make_folds(ClipLists(lists=folder), clips_of())


def test_lines_without_a_clip_can_be_skipped(folder):
    with (folder / "test_fold_1.csv").open("a") as opened:
        opened.write("spNO.4,a,3,5,sad\n")
    protocol = ClipLists(lists=folder, absent="skip")
    assert sides(make_folds(protocol, clips_of()))["fold_1"] == [0, 3]


def test_clips_that_no_list_names_are_refused(folder):
    more = clips_of([*PEOPLE, "spNO.3"], [*CLIPS, "e_5"])
    words = r"names none of 1 clip of .*: spNO\.3/e_5.*--data\.exclude spNO\.3/e_5"
    with pytest.raises(JmerError, match=words):
        make_folds(ClipLists(lists=folder), more)


def test_clips_for_training_alone_need_no_list(folder):
    more = clips_of([*PEOPLE, "spNO.3"], [*CLIPS, "e_5_macro"])
    more = replace(more, train_only=np.arange(7) == 6)
    for fold in make_folds(ClipLists(lists=folder), more):
        assert 6 in fold.train


def test_what_cannot_be_lists(folder, tmp_path):
    with pytest.raises(UsageError, match="give the folder of the lists"):
        make_folds(ClipLists(), clips_of())
    with pytest.raises(JmerError, match=r"has no test_NAME\.csv"):
        make_folds(ClipLists(lists=tmp_path), clips_of())
    with pytest.raises(UsageError, match=r"k=5: .* has 3 folds"):
        make_folds(ClipLists(lists=folder, k=5), clips_of())
    (folder / "test_fold_1.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JmerError, match=r"fold_1\.csv cannot be read as a list"):
        make_folds(ClipLists(lists=folder), clips_of())
    with pytest.raises(UsageError, match=r"protocol\.k=1 must be at least 2"):
        ClipLists(k=1)


def test_a_run_is_known_by_what_the_lists_say(folder, tmp_path):
    experiment = load_experiment("quickstart")

    def identity(lists):
        protocol = ClipLists(lists=lists)
        return dataclasses.replace(experiment, protocol=protocol).identity()

    moved = tmp_path / "moved"
    folder.rename(moved)
    first = identity(moved)
    moved.rename(folder)
    assert first == identity(folder)
    header = "Subject,Filename,Onset"
    write(folder, test_fold_3=[header, "spNO.2,b,7", "spNO.3,d,3"])
    assert identity(folder) != first
    kept = dataclasses.replace(experiment, protocol=ClipLists(lists=folder)).resolved()
    assert protocol_of(kept["protocol"] | {"lists": str(folder)}) == ClipLists(
        lists=folder
    )


ALL = {"a": ["spNO.1"], "b": ["spNO.2", "spNO.3"]}


def lists_of(folder, content, **options):
    (folder / "folds.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    return ClipLists(lists=folder / "folds.json", **options)


@pytest.mark.parametrize(
    ("content", "folds"),
    [
        (ALL, {"a": [0, 1], "b": [2, 3, 4, 5]}),
        (
            {n: {"test": own} for n, own in ALL.items()},
            {"a": [0, 1], "b": [2, 3, 4, 5]},
        ),
        (list(ALL.values()), {"fold0": [0, 1], "fold1": [2, 3, 4, 5]}),
        (
            [
                ["spno.1", ["spNO.2", "b_7"]],
                [{"subject": "spNO.2", "clip": "j_7"}, "spNO.3"],
            ],
            {"fold0": [0, 1, 2], "fold1": [3, 4, 5]},
        ),
    ],
    ids=["subjects", "sides", "without names", "clips"],
)
def test_lists_in_json(tmp_path, content, folds):
    assert sides(make_folds(lists_of(tmp_path, content), clips_of())) == folds


def test_a_list_of_subjects_tests_all_their_clips(tmp_path):
    write(tmp_path, all=["Subject,fold", "spNO.1,x", "spNO.2,y", "spNO.3,x"])
    protocol = ClipLists(lists=tmp_path / "all.csv", apart=True)
    folds = make_folds(protocol, clips_of())
    assert sides(folds) == {"x": [0, 1, 4, 5], "y": [2, 3]}
    assert protocol.describe(folds, clips_of()) == "2 folds from lists of clips"


def test_lists_say_who_trains(tmp_path, folder):
    division = {"once": {"test": ["spNO.1"], "train": ["spNO.3", ["spNO.2", "J_7"]]}}
    listed = {"train": "listed", "untested": "allow"}
    protocol = lists_of(tmp_path, division, **listed)
    assert not protocol.exhaustive and ClipLists().exhaustive
    (fold,) = folds = make_folds(protocol, clips_of())
    assert fold.test.tolist() == [0, 1] and fold.train.tolist() == [3, 4, 5]
    said = protocol.describe(folds, clips_of())
    assert said == "1 fold from lists of clips, 4 clips never tested"
    # The same in one CSV file, and in a folder of files.
    lines = ["once,spNO.1,,test", "once,spNO.3,,Train", "once,spNO.2,,train"]
    write(tmp_path, one=["fold,subject,note,side", *lines])
    (fold,) = make_folds(ClipLists(lists=tmp_path / "one.csv", **listed), clips_of())
    assert fold.test.tolist() == [0, 1] and fold.train.tolist() == [2, 3, 4, 5]
    write(
        tmp_path / "two",
        test_a=["subject", "spNO.1"],
        train_a=["subject,clip", "spNO.2,b_7"],
    )
    (fold,) = make_folds(ClipLists(lists=tmp_path / "two", **listed), clips_of())
    assert fold.test.tolist() == [0, 1] and fold.train.tolist() == [2]
    # Whoever is in no list trains, too, unless lists say who does.
    (fold,) = make_folds(
        ClipLists(lists=tmp_path / "two", untested="allow"), clips_of()
    )
    assert fold.train.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": {"test": ["spNO.1"], "train": ["spNO.9"]}}, r"no subject spNO\.9 \(did"),
        ({"a": {"test": ["spNO.1"]}}, "nothing says who trains in fold a"),
        (
            {"a": {"test": ["spNO.1"], "train": ["spNO.1"]}},
            r"trains on clip spNO\.1/a_3",
        ),
        ({"a": {"train": ["spNO.1"]}}, "fold a: a fold is a list of who is tested"),
        ({"a": {"test": []}}, "fold a names nobody to test"),
        ({"a": []}, "fold a names nobody to test"),
        ({"a": "spNO.1"}, "a fold is a list"),
        ({"a": [3]}, "'3' names nobody"),
        ({"a": [["spNO.1", "a_3", "x"]]}, "names nobody: write a subject"),
        ({"a": [{"clip": "a_3"}]}, "names nobody: write a subject"),
        ({}, r"folds\.json has no folds"),
        ("3", r"folds\.json has no folds"),
        ("{", r"folds\.json cannot be read .*correct the JSON"),
        ('{"a": ["spNO.1"], "a": ["spNO.2"]}', "'a' is a name twice"),
        ('{"": ["spNO.1"]}', "'' is a name of nothing"),
        ("[" * 99999, r"folds\.json cannot be read"),
    ],
)
def test_json_that_cannot_be_lists(tmp_path, content, words):
    protocol = lists_of(tmp_path, content, train="listed", untested="allow")
    with pytest.raises(JmerError, match=words):
        make_folds(protocol, clips_of())


def test_lists_that_cannot_be_sides(tmp_path):
    listed = {"train": "listed", "untested": "allow"}
    write(tmp_path / "x", test_a=["subject", "spNO.1"], train_b=["subject", "spNO.2"])
    with pytest.raises(JmerError, match=r"train_b\.csv, line 2: .* trains in fold b"):
        make_folds(ClipLists(lists=tmp_path / "x", **listed), clips_of())
    write(tmp_path, one=["subject,fold,side", "spNO.1,a,tset"])
    with pytest.raises(JmerError, match="'tset' is no side: write train or test"):
        make_folds(ClipLists(lists=tmp_path / "one.csv"), clips_of())
    write(tmp_path / "y", test_a=["subject,clip"])
    with pytest.raises(JmerError, match=r"test_a\.csv names nobody: fill it in"):
        make_folds(ClipLists(lists=tmp_path / "y"), clips_of())


def test_who_trains_is_part_of_what_a_run_is(tmp_path):
    division = {"a": {"test": ["spNO.1"], "train": ["spNO.2"]}}
    contents = [lists_of(tmp_path, division).content()]
    contents += [lists_of(tmp_path, division, train="listed").content()]
    division["a"]["train"] = ["spNO.3"]
    contents += [lists_of(tmp_path, division, train="listed").content()]
    assert len({*contents}) == 3
    assert lists_of(tmp_path, division).content() == contents[0]
    experiment = load_experiment("quickstart")
    for options, named in (({}, False), ({"train": "listed"}, True)):
        protocol = lists_of(tmp_path, division, **options)
        kept = dataclasses.replace(experiment, protocol=protocol).identity()
        assert ("train" in kept["protocol"]) is named
        assert "untested" not in kept["protocol"]


def test_a_run_of_lists_does_not_contradict_itself(tmp_path):
    """Its identity has what the lists say, its experiment where they lie."""
    protocol = lists_of(tmp_path, ALL)
    made = dataclasses.replace(load_experiment("quickstart"), protocol=protocol)
    folder = make(tmp_path / "run", "net", predictions_of({"a": 3}, 0.5))
    file = folder / "experiment.json"
    about = {**read_json(file), "experiment": made.resolved()}
    write_json(file, unsealed({**about, "identity": made.identity()}))
    assert read_run(folder).metrics["n_subjects"] == 3
    about["experiment"]["protocol"]["apart"] = True
    write_json(file, unsealed({**about, "identity": made.identity()}))
    with pytest.raises(
        JmerError, match=r"contradicts itself \(protocol\.apart is False"
    ):
        read_run(folder)


def test_the_command_line_says_what_to_give(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        main(["run", "hsta_casme2", "--protocol", "clip-lists", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "--protocol.lists" in shown
    assert "--protocol.absent" in shown
    remedies = (
        ["--protocol", "clip-kfold", "--protocol.split-seed", "1"],
        ["--protocol.absent", "skip", "--data.exclude", "spNO.3/e_5"],
        ["--protocol.untested", "allow", "--protocol.train", "others"],
    )
    for said in remedies:
        with pytest.raises(SystemExit) as left:
            main(["run", "hsta_table4", *said, "--help"])
        assert not left.value.code
        capsys.readouterr()
    words = ["run", "quickstart", "--protocol", "clip-lists", "--run-dir", "r"]
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert "such as --protocol clip-kfold" in capsys.readouterr().err
    lists = ["--protocol.lists", str(tmp_path)]
    assert main([*words, *lists]) == 1
    assert "has no test_NAME.csv: give the folder" in capsys.readouterr().err


def test_the_published_folds_of_hsta():
    """172 clips each, and nearly all tested subjects train too."""
    lists = SHARED / "labels" / "hsta_5fold"
    if not lists.is_dir():
        pytest.skip("the published lists are not on this machine")
    with (SHARED / "labels" / "casme3_parta.csv").open() as opened:
        lines = list(csv.DictReader(opened))
    # As the builder calls clips: the video, and the onset as the sheet has it.
    clips = clips_of(
        [line["subject"] for line in lines],
        [f"{line['clip'].lower()}_{line['onset']}" for line in lines],
    )
    folds = make_folds(ClipLists(lists=lists, k=5), clips)
    assert [len(fold.test) for fold in folds] == [172] * 5
    shared = []
    for fold in folds:
        own, others = (set(clips.subject[x]) for x in (fold.test, fold.train))
        shared.append((len(own & others), len(own)))
        with (lists / f"train_{fold.name}.csv").open() as opened:
            assert len(list(csv.DictReader(opened))) == len(fold.train) == 688
    assert shared == [(62, 68), (54, 54), (62, 64), (58, 59), (64, 67)]
