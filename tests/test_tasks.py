"""Tables of tasks: who trains on what."""

import dataclasses
import re

import numpy as np
import pytest
from engine import INNER, tasks_of
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import make_clips

from jmer.data.splits import Fold, Loso, make_folds
from jmer.errors import JmerError
from jmer.train.tasks import InnerSplit, Task, inner_clips, make_table, training_sizes


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 7), st.integers(3, 5), st.integers(0, 50), st.floats(0.1, 0.6))
def test_train_inner_and_test_are_apart(subjects, per, seed, fraction):
    clips = make_clips(subjects, per)
    folds = make_folds(Loso(), clips)
    tasks = tasks_of(clips, seeds=(seed,))
    table = make_table(tasks, folds, clips, inner=InnerSplit(fraction))
    for i, fold in enumerate(folds):
        train = set(np.flatnonzero(table.train[i]))
        inner = set(table.inner[i][table.inner_weight[i] > 0])
        test = set(table.test[i][: len(fold.test)])
        assert inner and train
        assert sorted(train | inner | test) == list(range(len(clips)))
        assert not train & inner and not train & test and not inner & test
        assert not set(clips.subject[list(train)]) & set(clips.subject[list(inner)])
        assert set(clips.label[list(train)]) == {0, 1, 2}


def test_inner_clips_depend_on_seed_and_fold_alone(clips):
    folds = make_folds(Loso(), clips)
    chosen = [inner_clips(Task(s, "s1"), folds[1], clips, INNER) for s in range(8)]
    np.testing.assert_array_equal(
        chosen[0], inner_clips(Task(0, "s1"), folds[1], clips, INNER)
    )
    assert len({tuple(c) for c in chosen}) > 1


def test_inner_clips_can_be_a_share_of_each_class():
    clips = make_clips(5, 9)
    (fold, *_) = make_folds(Loso(), clips)
    quarter = InnerSplit(0.25, "clip")
    chosen = inner_clips(Task(0, fold.name), fold, clips, quarter)
    assert set(chosen) < set(fold.train)
    assert np.bincount(clips.label[chosen]).tolist() == [3, 3, 3]  # of 12 each
    other = inner_clips(Task(1, fold.name), fold, clips, quarter)
    assert chosen.tolist() != other.tolist()


@pytest.mark.parametrize("unit", ["subject", "clip"])
def test_inner_clips_can_be_the_same_for_all_seeds(unit):
    """What the paper of MERANet says of its validation set."""
    clips = make_clips(6, 9)
    fold, *_ = make_folds(Loso(), clips)
    drawn = {
        tuple(
            inner_clips(Task(s, fold.name), fold, clips, InnerSplit(0.3, unit, split))
        )
        for split in (0, 0, 7)
        for s in range(4)
    }
    assert len(drawn) == 2  # one for each split seed
    own = inner_clips(Task(7, fold.name), fold, clips, InnerSplit(0.3, unit))
    assert tuple(own) in drawn  # drawn as a training of that seed draws them


def test_inner_clips_are_counted_as_the_division_counts():
    clips = make_clips(5, 9)
    fold, *_ = make_folds(Loso(), clips)  # 12 of each class: 2.4 of each, 7.2 in all
    for rounding, counts in (("class", [2, 2, 2]), ("total", [3, 3, 2])):
        inner = InnerSplit(0.2, "clip", rounding=rounding)
        chosen = inner_clips(Task(0, fold.name), fold, clips, inner)
        assert np.bincount(clips.label[chosen]).tolist() == counts


def test_no_subject_to_spare_is_an_error(clips):
    fold = Fold("s0", np.array([3, 4, 5]), np.array([0, 1, 2]))
    with pytest.raises(JmerError, match=r"fold s0: .*--selection last"):
        inner_clips(Task(0, "s0"), fold, clips, INNER)


def test_a_fold_of_one_clip_is_padded(clips):
    folds = make_folds(Loso(), clips)
    short = Fold("s0", folds[0].train, folds[0].test[:1])
    table = make_table([Task(0, "s0")], [short, *folds[1:]], clips, inner=None)
    assert table.test.tolist() == [[0, 0, 0]] and table.inner.shape == (1, 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fraction": 0.0}, "fraction is 0.0"),
        ({"fraction": 1.5}, "fraction is 1.5"),
        ({"fraction": float("nan")}, "fraction is nan"),
        ({"fraction": 0.2, "unit": "face"}, "unit is 'face', and not 'subject' or"),
        ({"fraction": 0.2, "rounding": "x"}, "rounding is 'x', and not 'class' or"),
        ({"fraction": 0.2, "seed": -1}, "seed is -1"),
        ({"fraction": 0.2, "seed": 1.5}, "seed is 1.5"),
    ],
)
def test_an_inner_split_that_is_none_is_refused(fields, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        InnerSplit(**fields)


def test_a_table_of_no_tasks_or_of_other_folds_is_none(clips):
    folds = make_folds(Loso(), clips)
    with pytest.raises(ValueError, match="tasks is empty"):
        make_table([], folds, clips, inner=None)
    tasks = [Task(0, folds[0].name), Task(0, "nobody")]
    with pytest.raises(ValueError, match=r"tasks of \['nobody'\]: the folds are \['s0"):
        make_table(tasks, folds, clips, inner=None)


@pytest.mark.parametrize(("first", "offered"), [(3, False), (6, True)])
def test_single_clips_are_offered_where_every_fold_has_some_to_spare(first, offered):
    clips = make_clips(2, 6)
    subject = np.repeat(["s0", "s1"], [first, 12 - first])
    clips = dataclasses.replace(clips, subject=subject)
    folds = make_folds(Loso(), clips)
    with pytest.raises(JmerError, match="no training subject can be") as refused:
        training_sizes(folds, clips, InnerSplit(0.2))
    assert ("--inner-unit clip" in str(refused.value)) == offered
    by_clip = InnerSplit(0.2, "clip")
    if offered:
        training_sizes(folds, clips, by_clip)
    else:
        with pytest.raises(JmerError, match="no training clip can be held out"):
            training_sizes(folds, clips, by_clip)
