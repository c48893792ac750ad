"""Scores against scikit-learn, against hand-worked values, and inside `jit`."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as reference

from jmer.scores import metrics

CLASSES = 4
HAND = np.array([[2, 1, 0], [0, 3, 1], [0, 0, 0]])  # class 2 is never true


def pairs(max_size=40):
    name = st.integers(0, CLASSES - 1)
    return st.lists(st.tuples(name, name), min_size=1, max_size=max_size)


def columns(rows):
    label, predicted = np.array(rows).T
    return label, predicted


def test_hand_worked_values():
    # F1: 4/5 and 6/8; the third class has no true sample and is left out.
    assert metrics.accuracy(HAND) == pytest.approx(5 / 7)
    assert metrics.uf1(HAND) == pytest.approx((4 / 5 + 6 / 8) / 2)
    assert metrics.uar(HAND) == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert_allclose(metrics.class_precision(HAND), [1, 3 / 4, 0])
    assert_allclose(metrics.class_recall(HAND), [2 / 3, 3 / 4, 0])


def test_empty_matrix_scores_zero_without_warning():
    empty = np.zeros((2, 3, 3))
    for metric in metrics.METRICS.values():
        assert_array_equal(metric(empty), [0.0, 0.0])


@given(pairs())
def test_scores_match_scikit_learn(rows):
    label, predicted = columns(rows)
    confusion = metrics.confusion_matrix(label, predicted, CLASSES)
    expected = reference.confusion_matrix(label, predicted, labels=range(CLASSES))
    assert_array_equal(confusion, expected)
    present = np.unique(label)
    average = {"labels": present, "average": "macro", "zero_division": 0}
    assert metrics.uf1(confusion) == pytest.approx(
        reference.f1_score(label, predicted, **average)
    )
    assert metrics.uar(confusion) == pytest.approx(
        reference.recall_score(label, predicted, **average)
    )
    assert metrics.accuracy(confusion) == pytest.approx(
        reference.accuracy_score(label, predicted)
    )


def test_uar_is_balanced_accuracy_when_every_class_is_there():
    label = np.array([0, 0, 1, 2, 2, 2, 3])
    predicted = np.array([0, 1, 1, 2, 0, 2, 2])
    confusion = metrics.confusion_matrix(label, predicted, CLASSES)
    expected = reference.balanced_accuracy_score(label, predicted)
    assert metrics.uar(confusion) == pytest.approx(expected)


@given(pairs(), st.data())
def test_weights_match_scikit_learn(rows, data):
    label, predicted = columns(rows)
    weights = st.just(0.0) | st.floats(1e-6, 1e3)
    weight = data.draw(hnp.arrays(np.float64, len(label), elements=weights))
    assume(weight.any())  # scikit-learn refuses weights that are all zero
    confusion = metrics.confusion_matrix(label, predicted, CLASSES, weight)
    expected = reference.confusion_matrix(
        label, predicted, labels=range(CLASSES), sample_weight=weight
    )
    assert_allclose(confusion, expected, atol=1e-9)


@given(hnp.arrays(np.int64, (2, 3, CLASSES, CLASSES), elements=st.integers(0, 10**6)))
def test_any_counts_give_finite_scores_between_0_and_1(confusion):
    for metric in metrics.METRICS.values():
        score = metric(confusion)
        assert score.shape == (2, 3)
        assert np.all((score >= 0) & (score <= 1))


def test_samples_outside_the_classes_count_nowhere():
    label, predicted = np.array([0, -1, 1, 9]), np.array([0, 0, -1, 1])
    assert metrics.confusion_matrix(label, predicted, 2).tolist() == [[1, 0], [0, 0]]


def test_inside_jit_and_vmap_as_on_the_host():
    jax = pytest.importorskip("jax")
    generator = np.random.default_rng(3)
    label, predicted = generator.integers(0, CLASSES - 1, (2, 5, 17))  # class 3 absent
    weight = generator.random((5, 17), dtype=np.float32)

    @jax.jit
    def scores(label, predicted, weight):
        confusion = metrics.confusion_matrix(label, predicted, CLASSES, weight)
        return {name: metric(confusion) for name, metric in metrics.METRICS.items()}

    host = metrics.confusion_matrix(label, predicted, CLASSES, weight)
    batched = scores(label, predicted, weight)
    with jax.numpy_dtype_promotion("strict"):
        mapped = jax.vmap(scores)(label, predicted, weight)
    for name, metric in metrics.METRICS.items():
        assert batched[name].dtype == np.float32
        assert_allclose(batched[name], metric(host), rtol=1e-5)
        assert_allclose(mapped[name], metric(host), rtol=1e-5)
    empty = scores(label, predicted, np.zeros_like(weight))
    assert all(np.all(np.asarray(score) == 0) for score in empty.values())


def test_host_labels_beside_a_traced_prediction():
    jax = pytest.importorskip("jax")
    label = np.array([0, 1, 1, 2])
    traced = jax.jit(lambda p: metrics.confusion_matrix(label, p, 3))(label)
    assert_array_equal(traced, np.diag([1, 2, 1]))


def test_module_does_not_import_jax():
    code = "import sys, jmer.scores.metrics; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bootstrap_repeats_and_brackets_the_score():
    generator = np.random.default_rng(5)
    confusions = generator.integers(0, 6, (2, 11, 3, 3)) + 4 * np.eye(3, dtype=int)
    first = metrics.subject_bootstrap(confusions, samples=300)
    assert first == metrics.subject_bootstrap(confusions, samples=300)
    assert first != metrics.subject_bootstrap(confusions, samples=300, seed=1)
    wide = metrics.subject_bootstrap(confusions, samples=300, level=0.99)
    pooled = confusions.sum(axis=1)
    for name, metric in metrics.METRICS.items():
        low, high = first[name]
        assert 0 <= wide[name][0] <= low < metric(pooled).mean() < high
        assert high <= wide[name][1] <= 1


def test_bootstrap_matches_a_plain_loop():
    """The same draws, pooled and scored one at a time."""
    confusions = np.random.default_rng(6).integers(0, 4, (3, 5, 2, 2))
    drawn = np.random.default_rng(0).multinomial(5, [0.2] * 5, size=50)
    scores = []
    for times in drawn:
        people = np.repeat(np.arange(5), times)
        pooled = [sum(matrices[p] for p in people) for matrices in confusions]
        scores.append(np.mean([metrics.uf1(matrix) for matrix in pooled]))
    expected = np.quantile(scores, [0.025, 0.975])
    assert_allclose(metrics.subject_bootstrap(confusions, samples=50)["uf1"], expected)


def test_bootstrap_width_is_that_of_a_mean():
    """Right-or-wrong subjects: the interval of ACC is that of a binomial share."""
    right = np.arange(400) % 2
    confusions = np.zeros((1, 400, 2, 2))
    confusions[0, :, 0, 0], confusions[0, :, 0, 1] = right, 1 - right
    low, high = metrics.subject_bootstrap(confusions)["acc"]
    half = 1.96 * np.sqrt(0.25 / 400)
    assert_allclose([low, high], [0.5 - half, 0.5 + half], atol=0.01)


def test_identical_subjects_give_an_interval_without_width():
    confusions = np.tile(np.array([[3, 1], [1, 1]]), (2, 7, 1, 1))
    low, high = metrics.subject_bootstrap(confusions, samples=20)["acc"]
    assert low == high == pytest.approx(4 / 6)


@settings(max_examples=20)
@given(hnp.arrays(np.int64, (2, 3, 2, 2), elements=st.integers(0, 5)))
def test_bootstrap_of_any_counts_is_ordered(confusions):
    for low, high in metrics.subject_bootstrap(confusions, samples=10).values():
        assert 0 <= low <= high <= 1


def test_a_seed_without_samples_does_not_lower_the_mean():
    confusions = np.stack([np.diag([2, 3]), np.zeros((2, 2), int)])
    assert metrics.seed_mean(metrics.accuracy, confusions) == 1.0


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"level": 1.0}])
def test_bootstrap_refuses_nonsense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        metrics.subject_bootstrap(np.ones((1, 2, 2, 2)), **wrong)
