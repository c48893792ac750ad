"""Paired differences against brute force, SciPy, and what chance must give."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import false_discovery_control, kstest, permutation_test
from sklearn import metrics as reference

from jmer.errors import JmerError, UsageError
from jmer.scores.paired import holm, paired
from jmer.scores.predictions import Predictions

CLASSES = ("joy", "fear", "surprise")
SCORES = ("acc", "uf1", "uar")


def make(predicted, label, *, subject=None, dataset=None, seeds=(0,), classes=CLASSES):
    """Predictions [seeds, clips]; three clips a subject if not told otherwise."""
    predicted = np.atleast_2d(predicted)
    s, n = predicted.shape
    subject = np.arange(n) // 3 if subject is None else np.asarray(subject)
    dataset = np.full(n, "set") if dataset is None else np.asarray(dataset)
    found = predicted.ravel()
    return Predictions(
        classes=classes,
        dataset=np.tile(dataset, s),
        subject=np.tile([f"s{i:02d}" for i in subject], s),
        clip=np.tile([f"c{i}" for i in range(n)], s),
        fold=np.tile([f"f{i}" for i in subject], s),
        seed=np.repeat(seeds, n),
        variant=np.zeros(s * n, int),
        label=np.tile(label, s),
        predicted=found,
        probabilities=np.eye(len(classes), dtype=np.float32)[found],
    )


def noisy(generator, label, share, seeds=1, k=3):
    """Predictions [seeds, clips], right with about this probability."""
    right = generator.random((seeds, len(label))) < share
    return np.where(right, label, generator.integers(0, k, (seeds, len(label))))


def score(name, label, predicted):
    average = {"labels": np.unique(label), "average": "macro", "zero_division": 0}
    return {
        "acc": lambda: reference.accuracy_score(label, predicted),
        "uf1": lambda: reference.f1_score(label, predicted, **average),
        "uar": lambda: reference.recall_score(label, predicted, **average),
    }[name]()


def difference(name, label, first, second):
    """Of predictions [seeds, clips], by scikit-learn."""
    one, two = (
        np.mean([score(name, label, row) for row in p]) for p in (first, second)
    )
    return two - one


def by_hand(name, label, subject, first, second):
    """The share of all swaps of whole subjects with a difference as large."""
    people = np.unique(subject)
    observed = abs(difference(name, label, first, second))
    large = 0
    for swaps in itertools.product((False, True), repeat=len(people)):
        swapped = np.isin(subject, people[list(swaps)])
        one = np.where(swapped, second, first)
        two = np.where(swapped, first, second)
        large += abs(difference(name, label, one, two)) >= observed - 1e-9
    return large / 2 ** len(people)


def test_identical_runs_differ_by_nothing():
    label = np.arange(42) % 3
    run = make(noisy(np.random.default_rng(0), label, 0.5, 2), label, seeds=(3, 5))
    found = paired(run, run)
    parts = (found.overall, found.per_class, *found.per_dataset.values())
    for one in [one for part in parts for one in part.values()]:
        assert (one.value, one.low, one.high, one.p) == (0, 0, 0, 1)
    assert found.clips == 42 and found.overall["acc"].subjects == 14


def test_every_swap_counted_by_hand():
    """Five subjects of unlike sizes, two seeds: 32 ways."""
    generator = np.random.default_rng(4)
    subject = np.repeat(np.arange(5), [2, 3, 4, 5, 7])
    label = generator.permutation(np.arange(21) % 3)
    first, second = (noisy(generator, label, share, 2) for share in (0.3, 0.7))
    seeds = {"subject": subject, "seeds": (0, 1)}
    found = paired(make(first, label, **seeds), make(second, label, **seeds))
    for name in SCORES:
        one = found.overall[name]
        assert one.value == pytest.approx(difference(name, label, first, second))
        assert one.p == by_hand(name, label, subject, first, second)
        assert 2 / 32 <= one.p < 1 and one.low <= one.value <= one.high
    for i, name in enumerate(CLASSES):
        f1 = [
            np.mean([reference.f1_score(label == i, row == i) for row in p])
            for p in (first, second)
        ]
        assert found.per_class[name].value == pytest.approx(f1[1] - f1[0])


def test_data_sets_are_compared_on_their_own_subjects():
    generator = np.random.default_rng(8)
    label = np.arange(33) % 3
    dataset = np.where(np.arange(33) < 15, "first set", "second set")
    runs = [noisy(generator, label, share) for share in (0.4, 0.8)]
    found = paired(*(make(run, label, dataset=dataset) for run in runs))
    for name, subjects in (("first set", 5), ("second set", 6)):
        own = dataset == name
        alone = [make(run[:, own], label[own], subject=np.arange(33)[own] // 3)
                 for run in runs]  # fmt: skip
        assert found.per_dataset[name] == paired(*alone).overall
        assert found.per_dataset[name]["uf1"].subjects == subjects
    both = np.mean([found.per_dataset[name]["acc"].value for name in found.per_dataset])
    assert found.overall["acc"].value != pytest.approx(both)  # 15 and 18 clips


def test_a_sign_flip_test_of_scipy_for_subjects_of_one_size():
    """The accuracy of equal subjects is a mean of theirs, so swapping flips a sign."""
    generator = np.random.default_rng(2)
    label = np.arange(27) % 3
    first, second = (noisy(generator, label, share) for share in (0.3, 0.7))
    found = paired(make(first, label), make(second, label)).overall["acc"]
    gain = ((second == label) * 1.0 - (first == label)).reshape(9, 3).mean(axis=1)
    expected = permutation_test((gain,), np.mean, permutation_type="samples")
    assert found.p == pytest.approx(expected.pvalue)
    assert found.value == pytest.approx(expected.statistic)


def test_drawn_swaps_come_close_to_all_of_them():
    generator = np.random.default_rng(3)
    label = np.arange(33) % 3
    runs = [make(noisy(generator, label, share), label) for share in (0.4, 0.6)]
    exact = paired(*runs, draws=2**11)
    drawn = paired(*runs, draws=2**11 - 1)
    for name in SCORES:
        one, other = exact.overall[name], drawn.overall[name]
        assert one.p != other.p
        assert one.p == pytest.approx(other.p, abs=4 * 0.5 / np.sqrt(2**11))
        assert (one.p * 2**11) % 2 == pytest.approx(0)  # a swap of all mirrors none
        assert (other.p * 2**11) % 1 == pytest.approx(0)  # (1 + count) / (1 + draws)


def test_the_interval_is_that_of_a_plain_loop():
    generator = np.random.default_rng(6)
    label = np.arange(21) % 3
    first, second = (noisy(generator, label, share, 2) for share in (0.4, 0.7))
    found = paired(
        make(first, label, seeds=(0, 1)), make(second, label, seeds=(0, 1)), draws=60
    )
    drawn = np.random.default_rng(0).multinomial(7, [1 / 7] * 7, size=60)
    for name in SCORES:
        again = []
        for times in drawn:
            clips = np.repeat(np.arange(21), np.repeat(times, 3))
            again.append(
                difference(name, label[clips], first[:, clips], second[:, clips])
            )
        one = found.overall[name]
        assert_allclose([one.low, one.high], np.quantile(again, [0.025, 0.975]))


def test_p_is_uniform_without_a_difference_and_intervals_cover_it():
    """300 pairs of equally good methods, with subjects easy and hard for both."""
    generator = np.random.default_rng(9)
    label = np.tile(np.arange(3), 26)
    p, covered, subjects = [], 0, 26
    for _ in range(300):
        ease = np.repeat(generator.beta(2, 2, subjects), 3)
        runs = [
            make(noisy(generator, label, ease, 2), label, seeds=(0, 1))
            for _ in range(2)
        ]
        found = paired(*runs, draws=299).overall["uf1"]
        p.append(found.p)
        covered += found.low <= 0 <= found.high
    assert kstest(p, "uniform").pvalue > 0.01
    for level in (0.05, 0.1, 0.5):
        room = 3 * np.sqrt(level * (1 - level) / 300)
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=room)
    assert 0.91 <= covered / 300 <= 0.98


def test_correlated_clips_do_not_make_chance_look_certain():
    """Whoever is recognised is recognised in all 9 clips: 12 subjects, not 108 clips.

    A test that swapped clips would call half of such differences certain.
    """
    generator = np.random.default_rng(1)
    label = np.tile(np.arange(3), 36)
    subject = np.arange(108) // 9
    certain = 0
    for _ in range(100):
        runs = []
        for _ in range(2):
            known = (generator.random(12) < 0.5)[subject]
            runs.append(make(np.where(known, label, (label + 1) % 3), label,
                             subject=subject))  # fmt: skip
        certain += paired(*runs, draws=199).overall["acc"].p <= 0.05
    assert certain <= 11


def test_a_true_difference_is_found():
    generator = np.random.default_rng(5)
    label = np.arange(120) % 3
    found = paired(
        make(noisy(generator, label, 0.3), label),
        make(noisy(generator, label, 0.8), label),
    )
    for name in SCORES:
        one = found.overall[name]
        assert one.p == pytest.approx(1 / 2001)  # no swap of 2000 is as large
        assert 0 < one.low < one.value < one.high
        assert 0.2 < one.value < 0.6


def test_the_order_of_two_runs_turns_the_sign():
    generator = np.random.default_rng(7)
    label = np.arange(30) % 3
    runs = [make(noisy(generator, label, share), label) for share in (0.4, 0.6)]
    there, back = paired(*runs), paired(*runs[::-1])
    for name in SCORES:
        one, other = there.overall[name], back.overall[name]
        assert (one.value, one.p) == (-other.value, other.p)
        assert_allclose((one.low, one.high), (-other.high, -other.low), atol=1e-12)


def test_seeds_may_differ_in_name_and_number():
    generator = np.random.default_rng(10)
    label = np.arange(27) % 3
    first, second = noisy(generator, label, 0.4, 2), noisy(generator, label, 0.6, 3)
    found = paired(
        make(first, label, seeds=(4, 7)), make(second, label, seeds=(0, 1, 2))
    )
    for name in SCORES:
        expected = difference(name, label, first, second)
        assert found.overall[name].value == pytest.approx(expected)
    # Each repeated until there are six, nothing else changes.
    six = [np.resize(rows, (6, 27)) for rows in (first, second)]
    seeds = {"seeds": range(6)}
    assert paired(*(make(rows, label, **seeds) for rows in six)) == found


def test_classes_are_matched_by_name():
    generator = np.random.default_rng(11)
    label = np.arange(27) % 3
    first, second = noisy(generator, label, 0.4), noisy(generator, label, 0.6)
    runs = make(first, label), make(second, label)
    more = ("nothing", *CLASSES[::-1])  # another order, and a class without a clip
    other = make(3 - second, 3 - label, classes=more)
    assert paired(runs[0], other) == paired(*runs)
    assert list(paired(other, runs[0]).per_class) == list(CLASSES[::-1])


def test_a_class_that_a_draw_lacks_is_not_counted_as_equal():
    """One of two subjects has it: the draws that hold it all have a gain of 1."""
    label = np.array([0, 0, 1, 0, 0, 0])
    first, second = np.where(label == 1, 0, label), label
    found = paired(make(first, label), make(second, label)).per_class["fear"]
    assert (found.value, found.low, found.high) == (1, 1, 1)


def test_other_clips_are_named():
    label = np.arange(24) % 3
    run = make(label, label)
    fewer = make(label[:9], label[:9])
    message = r"only the first has 'c10' of subject 's03' in 'set'; 'c11' .*; 'c9' .*"
    with pytest.raises(JmerError, match=message) as caught:
        paired(make(label[:12], label[:12]), fewer)
    assert "more" not in str(caught.value)
    with pytest.raises(JmerError, match=r"only the second has .*; and 12 more"):
        paired(fewer, run)


def test_other_labels_are_named():
    label = np.arange(24) % 3
    other = label.copy()
    other[4] = 2
    message = r"labels: 'c4' of subject 's01' in 'set'. .* is 'fear' and 'surprise'"
    with pytest.raises(JmerError, match=message):
        paired(make(label, label), make(label, other))


def test_a_seed_that_lacks_clips_is_named():
    label = np.arange(12) % 3
    run = make(np.stack([label, label]), label, seeds=(0, 8))
    rows = np.arange(len(run)) != 20
    names = (*("dataset", "subject", "clip", "fold", "seed", "variant", "label"),
             *("predicted", "probabilities"))  # fmt: skip
    short = replace(run, **{name: getattr(run, name)[rows] for name in names})
    with pytest.raises(JmerError, match="seed 8 of the second has 11 of 12 clips"):
        paired(run, short)


def test_one_subject_proves_nothing():
    label = np.array([0, 1, 2])
    found = paired(make([1, 2, 0], label), make(label, label)).overall["acc"]
    assert (found.value, found.p, found.subjects) == (1, 1, 1)


def test_draws_must_be_positive():
    run = make([0, 1, 2], [0, 1, 2])
    with pytest.raises(UsageError, match="draws=0 must be positive"):
        paired(run, run, draws=0)


def test_holm_by_hand():
    """0.01 x 4, 0.02 x 3, 0.03 x 2 and 0.04 x 1, never less than one before."""
    assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    assert_allclose(holm([0.5, 0.6]), [1, 1])
    assert_allclose(holm([0.03]), [0.03])
    assert len(holm([])) == 0


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(p):
    corrected = holm(p)
    assert np.all(corrected >= p)
    assert np.all(corrected <= np.minimum(np.array(p) * len(p), 1))
    assert np.all(corrected >= false_discovery_control(p) - 1e-12)
    assert_allclose(holm(p[::-1]), corrected[::-1])


def test_printed_it_can_be_read():
    label = np.arange(12) % 3
    first = np.where(np.arange(12) < 6, 0, label)
    found = paired(make(first, label), make(label, label))
    assert repr(found).splitlines()[:2] == [
        "second minus first on 12 clips",
        "  ACC +0.3333 [+0.000, +0.667], p 0.5000, 4 subjects",
    ]
