"""No subject is on both sides of a fold, and no clip is forgotten."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from toy import make_clips

from jmer.data.clips import ClipSet
from jmer.data.splits import (
    ClipHoldOut,
    ClipKFold,
    Fold,
    HoldOut,
    KFold,
    Loso,
    audit,
    make_folds,
    shares,
    stratified,
)
from jmer.errors import JmerError, UsageError

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SUBJECTS = st.lists(NAMES | st.sampled_from("abcde"), min_size=2, max_size=23).filter(
    lambda names: len(set(names)) > 1
)


def clips_of(subjects, label=None, classes=("any",)) -> ClipSet:
    """One clip for each entry of `subjects`, all of one class unless `label` says."""
    n = len(subjects)
    return replace(
        make_clips(n, 1, size=2),
        subject=np.array(subjects),
        label=np.zeros(n, np.int32) if label is None else np.array(label, np.int32),
        classes=classes,
    )


def assert_sound(folds, clips):
    for fold in folds:
        assert len(fold.train)
        assert len(fold.test)
        both = np.concatenate([fold.train, fold.test])
        assert sorted(both.tolist()) == list(range(len(clips)))
        assert not set(clips.subject[fold.train]) & set(clips.subject[fold.test])


def all_tested(folds):
    return sorted(int(i) for fold in folds for i in fold.test)


@given(SUBJECTS)
def test_loso_tests_every_subject_alone(subjects):
    clips = clips_of(subjects)
    folds = make_folds(Loso(), clips)
    assert_sound(folds, clips)
    assert all_tested(folds) == list(range(len(subjects)))
    assert sorted(fold.name for fold in folds) == sorted(set(subjects))
    for fold in folds:
        assert set(clips.subject[fold.test]) == {fold.name}


@given(SUBJECTS, st.integers(2, 7), st.integers(0, 2**32))
def test_kfold_tests_every_clip_once(subjects, k, split_seed):
    clips, protocol = clips_of(subjects), KFold(k, split_seed)
    if len(set(subjects)) < k:
        with pytest.raises(UsageError, match=f"protocol.k={k}.*Choose a smaller k"):
            make_folds(protocol, clips)
        return
    folds = make_folds(protocol, clips)
    assert len(folds) == k
    assert_sound(folds, clips)
    assert all_tested(folds) == list(range(len(subjects)))
    sizes = [len(fold.test) for fold in folds]
    largest = max(subjects.count(name) for name in subjects)
    assert max(sizes) - min(sizes) <= largest


@given(SUBJECTS, st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_holdout_tests_about_its_share(subjects, fraction, split_seed):
    clips = clips_of(subjects)
    folds = make_folds(HoldOut(fraction, split_seed), clips)
    assert [fold.name for fold in folds] == ["holdout"]
    assert_sound(folds, clips)
    test = clips.subject[folds[0].test].tolist()
    # Subjects are held out until the share is reached: without the last, it is not.
    largest = max(test.count(name) for name in test)
    assert len(test) - largest < fraction * len(subjects)
    if len(set(subjects)) - len(set(test)) > 1:
        assert len(test) >= fraction * len(subjects)


@given(st.integers(2, 7), st.integers(14, 40), st.integers(0, 2**32))
def test_folds_of_clips_test_every_clip_once_and_say_that_they_mix(k, n, split_seed):
    clips, protocol = (
        clips_of([f"s{i % 3}" for i in range(n)]),
        ClipKFold(k, split_seed),
    )
    folds = make_folds(protocol, clips)
    assert all_tested(folds) == list(range(n))
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(n))
    assert not protocol.subject_independent
    assert "NOT subject-independent" in protocol.describe(folds, clips)


@pytest.mark.parametrize("fraction", [0.2, 0.25, 0.9])
def test_a_holdout_of_clips_has_its_share_of_each_class(fraction):
    label = np.repeat([0, 1, 2], [34, 36, 2])
    clips = clips_of([f"s{i % 5}" for i in range(72)], label, ("a", "b", "c"))
    (fold,) = make_folds(ClipHoldOut(fraction), clips)
    assert sorted([*fold.train, *fold.test]) == list(range(72))
    counts = np.bincount(label[fold.test])
    assert counts.tolist() == [round(fraction * 34), round(fraction * 36), 1]
    (again,) = make_folds(ClipHoldOut(fraction), clips)
    assert_array_equal(fold.test, again.test)
    (other,) = make_folds(ClipHoldOut(fraction, split_seed=1), clips)
    assert fold.test.tolist() != other.test.tolist()


# The sizes of MERANet's sets (section 4.1), what it tests of them, and by hand: the
# whole part of each class's share; then one more for the largest remainders, until
# there are as many as all clips times the share, rounded up.
TOTALS = [
    # 4.4, 3.4, 3.6: 4 + 3 + 3, and two of ceil(11.4) left: the .6, and the first .4
    ([22, 17, 18], 0.2, [5, 3, 4]),
    # 8.5, 9, 11.25: 8 + 9 + 11, and one of ceil(28.75) left
    ([34, 36, 45], 0.25, [9, 9, 11]),
    # 15.75, 8, 7: 15 + 8 + 7, and one of ceil(30.75) left
    ([63, 32, 28], 0.25, [16, 8, 7]),
    ([10, 10, 10], 0.1, [1, 1, 1]),  # 0.1 * 10 is no more than 1
    ([3, 3, 3], 0.2, [1, 1, 1]),  # at least one
    ([2, 2, 40], 0.95, [1, 1, 39]),  # never all
    ([1, 9], 0.5, [0, 5]),  # unless there is one
]


@pytest.mark.parametrize(("sizes", "fraction", "tested"), TOTALS)
def test_a_holdout_rounded_in_total(sizes, fraction, tested):
    assert shares(sizes, fraction, "total") == tested
    label = np.repeat(np.arange(len(sizes)), sizes)
    chosen = stratified(
        np.arange(len(label)), label, fraction, np.random.default_rng(0), "total"
    )
    assert np.bincount(label[chosen], minlength=len(sizes)).tolist() == tested


def test_the_test_sets_of_meranet_have_the_sizes_that_its_shares_give():
    for sizes, fraction, total in (
        ([22, 17, 18], 0.2, 12),
        ([34, 36, 45], 0.25, 29),
        ([63, 32, 28], 0.25, 31),
    ):
        assert sum(shares(sizes, fraction, "total")) == total
    assert sum(shares([22, 17, 18], 0.2, "class")) == 11  # as it was divided before
    with pytest.raises(UsageError, match="rounding=up must be one of"):
        ClipHoldOut(rounding="up")


def test_a_mixing_division_is_refused_where_subjects_should_be_apart():
    clips = clips_of(["a", "b"] * 4)
    folds = make_folds(ClipKFold(2), clips)
    with pytest.raises(JmerError, match="subject a is trained on and tested"):
        audit(folds, clips, exhaustive=True)
    twice = [Fold("x", np.arange(8), np.arange(1))]
    with pytest.raises(JmerError, match="clip clip0 is trained on and tested"):
        audit(twice, clips, exhaustive=False, subject_independent=False)


@given(SUBJECTS, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_move_a_subject(subjects, split_seed, random):
    order = random.sample(range(len(subjects)), len(subjects))
    shuffled = [subjects[i] for i in order]
    for protocol in (Loso(), KFold(2, split_seed), HoldOut(0.4, split_seed)):
        one, other = (
            {f.name: set(c.subject[f.test]) for f in make_folds(protocol, c)}
            for c in (clips_of(subjects), clips_of(shuffled))
        )
        assert one == other


@pytest.mark.parametrize("kind", [lambda s: KFold(3, s), lambda s: HoldOut(0.3, s)])
def test_the_split_seed_decides(kind):
    clips = clips_of([f"s{i}" for i in range(13) for _ in range(2)])
    divisions = []
    for seed in (0, 1, 2):
        once, again = (make_folds(kind(seed), clips) for _ in range(2))
        for one, other in zip(once, again, strict=True):
            assert_array_equal(one.test, other.test)
        divisions.append(tuple(tuple(fold.test.tolist()) for fold in once))
    assert len(set(divisions)) == 3


def test_a_subject_of_one_clip_is_a_fold_of_one_clip():
    clips = clips_of(["a", "b", "b", "b", "c", "c"])
    folds = {fold.name: fold for fold in make_folds(Loso(), clips)}
    assert folds["a"].test.tolist() == [0]
    assert folds["a"].train.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("protocol", [Loso(), KFold(2), HoldOut()])
def test_one_subject_alone_is_refused(protocol):
    with pytest.raises(JmerError, match=r"toy has one subject, anna.*Add subjects"):
        make_folds(protocol, clips_of(["anna"] * 5))


def test_a_class_that_only_one_subject_has_is_refused():
    classes = ("negative", "positive", "surprise")
    clips = clips_of(["a", "a", "b", "b", "b"], [0, 1, 0, 1, 2], classes)
    with pytest.raises(JmerError) as caught:
        make_folds(Loso(), clips)
    message = str(caught.value)
    assert "fold b of toy: class 'surprise' is missing" in message
    assert "subjects that have it: b)" in message
    assert "drop or merge the class" in message
    nobody = clips_of(["a", "b", "c"], [0, 1, 0], classes)
    with pytest.raises(JmerError, match="subjects that have it: none"):
        make_folds(HoldOut(), nobody)


@pytest.mark.parametrize("k", [-1, 0, 1])
def test_too_few_folds_are_refused(k):
    with pytest.raises(UsageError, match=f"protocol.k={k} must be at least 2"):
        KFold(k)


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, 1.5, float("nan")])
def test_a_share_outside_its_range_is_refused(fraction):
    with pytest.raises(UsageError, match=r"protocol.fraction=.*between 0 and 1"):
        HoldOut(fraction)


def tampered(change):
    """The three folds of six clips of a, b and c, after `change` to the first."""
    clips = clips_of(["a", "a", "b", "b", "c", "c"])
    folds = make_folds(Loso(), clips)
    return [change(folds[0]), *folds[1:]], clips


TAMPERING = {
    "subject a is trained on and tested": lambda f: replace(
        f, train=np.append(f.train, 1)
    ),
    "clip clip0 of subject a is tested 2 times": lambda f: replace(
        f, test=np.array([0, 0, 1])
    ),
    "clip clip2 of subject b is tested 2 times": lambda f: Fold(
        "a", np.array([4, 5]), np.array([0, 1, 2])
    ),
    "clip clip1 of subject a is tested never": lambda f: replace(f, test=f.test[:1]),
    "two folds are called b": lambda f: replace(f, name="b"),
    "fold a has no clip to test": lambda f: replace(f, test=f.test[:0]),
    "fold a has no clip to train on": lambda f: replace(f, train=f.train[:0]),
}


@pytest.mark.parametrize("message", TAMPERING)
def test_the_audit_catches(message):
    folds, clips = tampered(TAMPERING[message])
    with pytest.raises(JmerError, match=message):
        audit(folds, clips, exhaustive=True)


def test_the_audit_lets_sound_folds_pass():
    folds, clips = tampered(lambda fold: fold)
    audit(folds, clips, exhaustive=True)
    audit(folds[:1], clips, exhaustive=False)
    with pytest.raises(JmerError, match="clip clip2 of subject b is tested never"):
        audit(folds[:1], clips, exhaustive=True)


def test_descriptions_count():
    clips = clips_of(["a", "b", "b", "c"])
    for protocol, line in (
        (Loso(), "leave-one-subject-out, 3 folds"),
        (KFold(2, 5), "2-fold by subject, split seed 5"),
        (HoldOut(0.1, 7), "hold-out of 1 subject, split seed 7"),
    ):
        assert protocol.describe(make_folds(protocol, clips), clips) == line
