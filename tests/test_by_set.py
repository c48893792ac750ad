"""Folds that are data sets: nothing of a set is on both sides, not a bit of it."""

import dataclasses
import shutil
from typing import ClassVar

import numpy as np
import pytest
from engine import make_program, row, train, trees_differ
from numpy.testing import assert_array_equal
from sealing import reseal
from test_start import EXPERIMENT, trained
from toy import make_clips

import jmer
from jmer.audit.run import audit_against
from jmer.cli import main
from jmer.data.by_set import CrossSet, Lodo
from jmer.data.splits import Fold, Loso, audit, make_folds, protocol_of
from jmer.errors import JmerError, UsageError
from jmer.models.ststnet import STSTNetConfig
from jmer.sweep.small import made_small
from jmer.train.tasks import InnerSplit, Task, inner_clips

SETS = ("one", "two", "two", "two", "three", "three", "three")
"""Of the subjects s0 to s6: one has one person, who has clips of each class."""


def composite(**fields):
    clips = make_clips(len(SETS), 3)
    return dataclasses.replace(clips, dataset=np.repeat(SETS, 3), **fields)


def of(clips, name):
    return np.flatnonzero(clips.dataset == name)


def test_each_data_set_is_tested_on_all_others():
    clips = composite()
    folds = make_folds(Lodo(), clips)
    assert [fold.name for fold in folds] == ["one", "three", "two"]
    for fold in folds:
        assert_array_equal(fold.test, of(clips, fold.name))
        assert_array_equal(np.union1d(fold.train, fold.test), np.arange(len(clips)))
    said = "leave-one-data-set-out, 3 folds (one, three, two)"
    assert Lodo().describe(folds, clips) == said
    assert protocol_of({"kind": "Lodo"}) == Lodo()


def test_what_is_for_training_alone_does_not_train_for_its_own_set():
    alone = np.zeros(len(SETS) * 3, bool)
    alone[[4, 9, 10, 11, 20]] = True  # s3 has nothing else, and no fold tests s3
    clips = composite(train_only=alone)
    for fold in make_folds(Lodo(), clips):
        assert not alone[fold.test].any()
        assert_array_equal(fold.train, np.flatnonzero(clips.dataset != fold.name))


def test_some_sets_train_and_some_are_tested():
    clips = composite()
    protocol = CrossSet(train=("two",), test=("three",))
    (fold,) = folds = make_folds(protocol, clips)
    assert_array_equal(fold.train, of(clips, "two"))
    assert_array_equal(fold.test, of(clips, "three"))
    assert fold.name == "three" and not protocol.exhaustive
    assert protocol.describe(folds, clips) == "trained on two, tested on three"
    (rest,) = folds = make_folds(CrossSet(test=("two", "one")), clips)
    assert rest.name == "two+one"
    assert_array_equal(rest.train, of(clips, "three"))
    said = CrossSet(test=("two", "one")).describe(folds, clips)
    assert said == "trained on three, tested on one, two"


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (CrossSet(), "protocol.test: name the data sets.*toy has one, three, two"),
        (
            CrossSet(test=("tow",)),
            "protocol.test='tow': no data set .*did you mean 'two'",
        ),
        (CrossSet(test=("two",), train=("won",)), "protocol.train='won': no data set"),
        (CrossSet(test=("one", "two", "three")), "has no clip to train on"),
    ],
)
def test_sets_that_cannot_be_sides(protocol, words):
    with pytest.raises(JmerError, match=words):
        make_folds(protocol, composite())


def test_a_set_is_on_one_side_once():
    with pytest.raises(UsageError, match=r"test='two' is in protocol\.train, too"):
        CrossSet(train=("one", "two"), test=("two",))
    with pytest.raises(UsageError, match="train: 'one' is given twice"):
        CrossSet(train=("one", "one"), test=("two",))


def test_one_data_set_cannot_be_left_out():
    with pytest.raises(JmerError, match=r"toy is one data set, 'toy'.*--protocol loso"):
        make_folds(Lodo(), make_clips())


def test_a_class_that_one_set_alone_has_is_refused():
    clips = composite()
    label = np.where(clips.dataset == "three", clips.label, clips.label % 2)
    with pytest.raises(JmerError, match=r"fold three of toy: class 'surprise'"):
        make_folds(Lodo(), dataclasses.replace(clips, label=label))


def test_a_set_on_both_sides_is_refused():
    clips = composite()
    both = [Fold("two", np.arange(6), np.arange(6, 12))]  # s1, s2 and s3
    audit(both, clips, exhaustive=False)
    with pytest.raises(JmerError, match="data set two is trained on and tested"):
        audit(both, clips, exhaustive=False, by_set=True)


def test_the_epoch_is_chosen_by_people_of_the_sets_that_train():
    clips = composite()
    for fold in make_folds(Lodo(), clips):
        inner = inner_clips(Task(0, fold.name), fold, clips, InnerSplit(0.2))
        assert len(inner) and set(inner) < set(fold.train)
        left = np.setdiff1d(fold.train, inner)
        assert not {*clips.subject[inner]} & {*clips.subject[left]}


LODO = dataclasses.replace(EXPERIMENT, protocol=Lodo(), batch_size=5, seeds=(0, 1))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("lodo") / "run", composite(), LODO)


def test_a_small_size_keeps_several_sets():
    made, _ = made_small(dataclasses.replace(LODO, model=Unknown(size=7)))
    assert made.protocol == Lodo() and made.extract.subjects == 26
    loso, _ = made_small(dataclasses.replace(made, protocol=Loso()))
    assert loso.extract.subjects == 6


@dataclasses.dataclass(frozen=True)
class Unknown(STSTNetConfig):
    """Declares no small size."""

    small_size: ClassVar = {}


def test_folds_of_sets_are_words_of_the_command(capsys):
    words = ["run", "quickstart", "--protocol", "cross-set", "--help"]
    with pytest.raises(SystemExit):
        main(words)
    shown = " ".join(capsys.readouterr().out.split())
    assert "--protocol.test" in shown and "Data sets to train on" in shown


def test_the_command_line_says_which_sets_there_are(tmp_path, capsys):
    (tmp_path / "one.py").write_text(
        "from test_start import EXPERIMENT\nEXPERIMENT = EXPERIMENT\n"
    )
    words = ["run", str(tmp_path / "one.py"), "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--protocol", "lodo"]) == 1
    error = capsys.readouterr().err
    assert "random is one data set, 'random'" in error
    assert error.strip().endswith("or --protocol loso.")
    with pytest.raises(SystemExit) as left:
        main([*words, "--protocol", "loso", "--help"])
    assert not left.value.code
    capsys.readouterr()
    assert main([*words, "--protocol", "cross-set"]) == 2
    assert "as in --protocol.test random; " in capsys.readouterr().err
    told = ["--protocol", "cross-set", "--protocol.test", "random"]
    assert main([*words, *told]) == 1
    assert "fold random has no clip to train on" in capsys.readouterr().err


def test_a_run_has_a_score_for_each_set(run):
    found = run.metrics
    assert found["protocol"].startswith("leave-one-data-set-out, 3 folds")
    assert found["subject_independent"] and found["seeds"] == [0, 1]
    assert {n: own["n_samples"] for n, own in found["per_dataset"].items()} == {
        "one": 3,
        "three": 9,
        "two": 9,
    }
    p = run.predictions
    assert_array_equal(p.fold, p.dataset)
    assert "leave-one-data-set-out" in (run.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("mode", "protocol"),
    [
        ("own", Lodo()),
        pytest.param("shared", CrossSet(test=("two",)), marks=pytest.mark.slow),
    ],
    ids=["own", "shared"],
)
def test_not_a_bit_of_a_held_out_set_reaches_its_fold(mode, protocol):
    clips = composite()
    flow = clips.inputs["apex_flow"].copy()
    flow[of(clips, "two")] = 9 * flow[of(clips, "two")][::-1] - 3
    label = np.where(clips.dataset == "two", 2 - clips.label, clips.label)
    other = dataclasses.replace(clips, inputs={"apex_flow": flow}, label=label)
    tasks = [Task(0, fold.name) for fold in make_folds(protocol, clips)]
    program = make_program(clips, mode=mode, protocol=protocol)
    kept, moved = (
        train(program, one, tasks, epochs=2, protocol=protocol)[0]
        for one in (clips, other)
    )
    for i, task in enumerate(tasks):
        differ = trees_differ(row(kept.params, i), row(moved.params, i))
        assert differ is (task.fold != "two")


def test_the_audit_knows_folds_that_are_sets(run):
    clips = composite()
    found = {f.rule: f for f in audit_against(run, clips).findings}
    assert found["sets"].verdict == "ok" and "no name tells" in found["sets"].text
    for rule in ("subjects", "clips", "twice", "never", "known", "unseen", "metrics"):
        assert found[rule].verdict == "ok", found[rule].text


def test_the_audit_finds_a_set_on_both_sides(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    file = folder / "predictions.csv"
    text = file.read_text().replace("three,s4,clip12,three", "three,s4,clip12,two")
    file.write_text(text)
    reseal(folder)
    found = {
        f.rule: f for f in audit_against(jmer.load_run(folder), composite()).findings
    }
    assert found["sets"].verdict == "violation"
    assert found["sets"].details[0] == {"fold": "two", "data set": "three"}


def test_the_same_person_in_two_sets_is_seen_by_looks(run):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (21, 40, 40, 3)).astype(np.uint8)
    image[13] = np.clip(image[3] + 4.0, 0, 255)  # s4 of three is s1 of two, lighter
    image[6] = image[3]  # s2 of two as well: no fold has both sides
    found = {
        f.rule: f
        for f in audit_against(run, composite(inputs={"clip": image})).findings
    }
    assert found["alike"].verdict == "warning"
    assert found["images"].verdict == "violation"
    assert found["images"].text.endswith(
        "None of these pairs is on both sides of a fold."
    )
    # Two pairs: with either of the two that are the same.
    assert len(found["alike"].details) == 2
    assert "on both sides" not in found["alike"].text
