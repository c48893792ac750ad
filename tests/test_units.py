"""Labels that are sets of action units: losses, counts, scores and what is stored."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as reference
from toy import make_clips

from jmer.data.action_units import units_of, with_action_units
from jmer.data.clips import ClipSet
from jmer.data.extract import Extract
from jmer.data.splits import Loso, make_folds
from jmer.errors import JmerError, UsageError
from jmer.losses import binary_cross_entropy, label_loss, squared_error, weighted_mean
from jmer.scores.labels import CLASSES, KINDS, UNITS, kind_in, kind_of, require_classes
from jmer.scores.metrics import METRICS, reported, seed_mean, subject_bootstrap
from jmer.scores.paired import paired
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.scores.units import (
    UNIT_METRICS,
    constant_one,
    unit_counts,
    unit_f1,
    unit_macro,
    unit_precision,
    unit_recall,
)
from jmer.train.tasks import InnerSplit, Task, inner_clips

CD6ME = np.array([304, 280, 708, 134, 60, 252, 117, 75, 176, 277, 52, 86])
TABLES = hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 9), st.integers(2, 5)))


def of_units(clips: ClipSet, units=(1, 2, 4)) -> ClipSet:
    """Clips that show units by their class, some two and some none."""
    texts = np.array(["1+R4", "AU2", "", "4B", "1 + 2", "12, M58"])
    return with_action_units(
        dataclasses.replace(clips, action_units=texts[np.arange(len(clips)) % 6]), units
    )


def predictions_of(label, predicted, *, seeds=1, people=None) -> Predictions:
    """Rows of clips of one set, each in each seed."""
    n, k = label.shape
    people = np.arange(n) if people is None else np.asarray(people)
    rows = {
        "subject": np.array([f"s{i}" for i in people]),
        "clip": np.array([f"c{i}" for i in range(n)]),
        "dataset": np.full(n, "toy"),
        "variant": np.zeros(n, int),
        "label": label,
        "predicted": predicted,
        "probabilities": np.where(predicted, 0.75, 0.25).astype(np.float32),
    }
    rows["fold"] = rows["subject"]
    return Predictions(
        classes=tuple(f"AU{i + 1}" for i in range(k)),
        seed=np.repeat(np.arange(seeds), n),
        **{name: np.concatenate([x] * seeds) for name, x in rows.items()},
    )


@settings(max_examples=25)
@given(
    hnp.arrays(np.float32, (5, 3), elements=st.floats(-1e4, 1e4, width=32)),
    hnp.arrays(bool, (5, 3)),
)
def test_the_loss_is_that_of_torch(logits, shown):
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        leaf, torch.tensor(shown).float(), reduction="none"
    ).mean(-1)
    expected.sum().backward()
    value, pull = jax.vjp(lambda x: label_loss(x, shown), logits)
    assert_allclose(value, expected.detach(), rtol=1e-5, atol=1e-6)
    assert_allclose(pull(jnp.ones(5))[0], leaf.grad, rtol=1e-5, atol=1e-6)


def test_the_loss_is_float32_and_clips_of_no_weight_do_not_count():
    logits = jnp.array([[2.0, -1.0], [jnp.nan, 0.0]], jnp.bfloat16)
    shown = jnp.array([[True, False], [True, True]])
    loss = binary_cross_entropy(logits, shown)
    assert loss.dtype == jnp.float32
    mean = weighted_mean(loss, jnp.array([1.0, 0.0]))
    by_hand = (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2
    assert_allclose(mean, by_hand, rtol=1e-5)
    each = jax.vmap(label_loss)(logits[None, :1], shown[None, :1])
    assert_allclose(each, loss[None, :1])


def test_the_squared_error_of_units_is_that_of_their_probabilities():
    found = squared_error(jnp.array([[0.0, 40.0]]), jnp.array([[True, False]]))
    assert_allclose(found, [(0.25 + 1) / 2], rtol=1e-6)


@given(TABLES)
def test_scores_are_those_of_scikit_learn(table):
    shown, found = table
    counts = unit_counts(shown, found)
    whole = {name: float(metric(counts)) for name, metric in UNIT_METRICS.items()}
    zero = {"zero_division": 0}
    each = reference.f1_score(shown, found, average=None, **zero)
    assert_allclose(unit_f1(counts), each)
    assert_allclose(
        unit_recall(counts), reference.recall_score(shown, found, average=None, **zero)
    )
    assert_allclose(
        unit_precision(counts),
        reference.precision_score(shown, found, average=None, **zero),
    )
    both = [
        reference.f1_score(one, other, average="macro", labels=[False, True], **zero)
        for one, other in zip(shown.T, found.T, strict=True)
    ]
    assert_allclose(unit_macro(counts), both)
    assert whole["f1"] == pytest.approx(np.mean(each))
    assert whole["f1_macro"] == pytest.approx(np.mean(both))
    micro = reference.f1_score(shown, found, average="micro", **zero)
    assert whole["f1_micro"] == pytest.approx(micro)
    assert whole["acc"] == pytest.approx((shown == found).mean())
    by_rows = UNITS.by([(np.zeros(len(shown), int), 1)], shown, found, shown.shape[1])
    assert_array_equal(by_rows[0], counts)


def test_weights_count_as_often_as_they_say():
    shown, found = np.array([[True], [False], [True]]), np.array([[True]] * 3)
    counts = unit_counts(shown, found, np.array([2.0, 1.0, 0.0]))
    assert_array_equal(counts, [[0, 1, 0, 2]])
    traced = jax.jit(unit_counts)(shown, found, np.float32([2, 1, 0]))
    assert_array_equal(traced, counts)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6), st.integers(50, 99))
def test_always_shown_scores_two_p_by_one_and_p(positives, clips):
    counts = constant_one(np.array(positives), clips)
    share = np.array(positives) / clips
    assert_allclose(unit_f1(counts), 2 * share / (1 + share))


def test_always_shown_on_the_composite_is_the_published_mean():
    mean = float(UNIT_METRICS["f1"](constant_one(CD6ME, 2031)))
    assert round(100 * mean, 1) == 17.8
    shown = np.arange(2031)[:, None] < CD6ME
    counts = unit_counts(shown, np.ones_like(shown))
    assert float(UNIT_METRICS["f1"](counts)) == pytest.approx(mean, abs=1e-12)


def test_scores_pool_folds_and_the_mean_over_folds_counts_an_absent_unit_as_0():
    shown = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], bool)
    found = np.array([[1, 0], [0, 0], [1, 1], [0, 0]], bool)
    made = score(predictions_of(shown, found, people=[0, 0, 1, 1]))
    assert made["labels"] == "action units"
    assert made["f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    # Fold 0: 2/3 and, as nobody shows it, 0. Fold 1: 1 and 2/3.
    assert made["fold_mean"]["f1"] == pytest.approx((2 / 3 + 0 + 1 + 2 / 3) / 4)
    assert made["confusion"] == [[1, 0, 1, 2], [2, 0, 1, 1]]
    assert [row["n"] for row in made["per_class"].values()] == [3, 2]
    assert made["per_dataset"]["toy"]["f1"] == made["f1"]
    assert [row["acc"] for row in made["per_subject"]] == [0.75, 0.75]


def test_intervals_are_those_of_drawn_subjects():
    rng = np.random.default_rng(0)
    shown = rng.random((30, 3)) < 0.4
    people = np.arange(30) // 5
    p = predictions_of(shown, shown ^ (rng.random((30, 3)) < 0.2), people=people)
    found = score(p)
    axes = (np.zeros(30, int), 1), (people, 6)
    counts = UNITS.by(axes, p.label, p.predicted, 3)
    drawn = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), 2000)
    pooled = np.tensordot(drawn, counts[0], (1, 0))
    each = np.quantile(unit_f1(pooled), (0.025, 0.975), axis=0).T
    assert_allclose([r["ci95"]["f1"] for r in found["per_class"].values()], each)
    whole = np.quantile(unit_f1(pooled).mean(-1), (0.025, 0.975))
    assert_allclose(found["ci95"]["f1"], whole)
    again = subject_bootstrap(counts, metrics=UNIT_METRICS)
    assert again["f1"] == pytest.approx(tuple(found["ci95"]["f1"]))
    assert seed_mean(UNIT_METRICS["f1"], counts.sum(1)) == pytest.approx(found["f1"])


def test_paired_differences_of_units():
    rng = np.random.default_rng(1)
    shown = rng.random((12, 2)) < 0.5
    better, worse = (
        predictions_of(shown, shown ^ (rng.random((12, 2)) < p)) for p in (0.1, 0.6)
    )
    found = paired(worse, better, draws=64)
    values = [score(p) for p in (worse, better)]
    assert found.overall["f1"].value == pytest.approx(values[1]["f1"] - values[0]["f1"])
    assert found.per_class["AU2"].value == pytest.approx(
        values[1]["per_class"]["AU2"]["f1"] - values[0]["per_class"]["AU2"]["f1"]
    )
    assert "F1 macro" in repr(found)
    one = dataclasses.replace(worse, classes=("AU1", "AU9"))
    with pytest.raises(JmerError, match="AU1, AU2, and the second AU1, AU9"):
        paired(worse, one)
    with pytest.raises(JmerError, match="have other labels"):
        paired(worse, predictions_of(~shown, shown))


def test_predictions_are_stored_and_read_back(tmp_path):
    shown = np.array([[1, 0], [0, 0], [1, 1]], bool)
    made = predictions_of(shown, ~shown)
    made.save(tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text()
    assert text.splitlines()[0].endswith(",label,predicted,unit_AU1,unit_AU2")
    assert text.splitlines()[1] == "toy,s0,c0,s0,0,0,AU1,AU2,0.25,0.75"
    assert ",none,AU1+AU2," in text
    again = Predictions.load(tmp_path / "p.csv")
    assert again.kind is UNITS and again.classes == made.classes
    assert_array_equal(again.label, made.label)
    assert_array_equal(again.predicted, made.predicted)
    assert_array_equal(again.probabilities, made.probabilities)
    assert again.where(np.array([True, False, True])).label.shape == (2, 2)


@pytest.mark.parametrize("cell", ["AU1+AU1", "AU7", "AU1+", "", "AU1+none"])
def test_a_damaged_set_of_units_is_named(cell, tmp_path):
    file = tmp_path / "p.csv"
    predictions_of(np.array([[True, False]]), np.array([[True, True]])).save(file)
    file.write_text(file.read_text().replace(",AU1,AU1+AU2", f",{cell},AU1+AU2"))
    with pytest.raises(JmerError, match="row 2 has unknown label"):
        Predictions.load(file)


def test_sizes_of_units_are_checked():
    shown = np.zeros((2, 3), bool)
    made = predictions_of(shown, shown)
    with pytest.raises(ValueError, match="predicted"):
        dataclasses.replace(made, predicted=shown[:, :2])


def test_the_kinds_of_labels():
    assert kind_of(np.zeros(3, int)) is CLASSES
    assert kind_of(np.zeros((3, 2), bool)) is UNITS
    assert kind_in({}) is CLASSES and kind_in({"labels": "action units"}) is UNITS
    assert [*KINDS] == ["classes", "action units"]
    assert [*reported(UNIT_METRICS)] == [*UNIT_METRICS]
    assert CLASSES.metrics is METRICS
    with pytest.raises(JmerError, match="labels 'words' are none of classes, action"):
        kind_in({"labels": "words"})
    with pytest.raises(JmerError, match="a bundle needs one class of each clip"):
        require_classes("a bundle", UNITS)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("R12B + 5, M58, 4 or 9", {4, 5, 12}),
        ("", set()),
        ("4(k)+L1", {1}),
        ("0", set()),
    ],
)
def test_units_of_an_annotation(text, units):
    assert units_of(text) == units


def test_labels_say_which_units_a_clip_shows(clips):
    made = of_units(clips)
    assert made.classes == ("AU1", "AU2", "AU4")
    expected = [[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert_array_equal(made.label, np.array([*expected, *expected], bool))
    about = made.summary()
    assert about["n_clips"] == 12
    assert about["per_class"] == {"AU1": 4, "AU2": 4, "AU4": 4}
    assert made.fingerprint != of_units(clips, (1, 2)).fingerprint != clips.fingerprint
    assert len(make_folds(Loso(), made)) == 4


def test_units_that_nobody_shows_are_named(clips):
    with pytest.raises(JmerError, match=r"shows AU17, so nothing .*first: 1 4 2 12"):
        of_units(clips, (1, 17))
    with pytest.raises(JmerError, match="says of no clip which action units"):
        with_action_units(clips, (1,))
    strange = dataclasses.replace(clips, action_units=np.full(len(clips), "smile"))
    with pytest.raises(JmerError, match="clip0 of subject s0: 'smile' is no action"):
        with_action_units(strange, (1,))


@pytest.mark.parametrize("units", [(1, 1), (0,), (100,), (-4, 1)])
def test_numbers_that_are_no_units_are_refused(units):
    with pytest.raises(UsageError, match="different numbers from 1 to 99"):
        Extract(action_units=units)


def test_inner_subjects_leave_every_unit_to_train_on():
    clips = of_units(make_clips(subjects=5, per_subject=6))
    fold = make_folds(Loso(), clips)[0]
    inner = inner_clips(Task(0, fold.name), fold, clips, InnerSplit(0.3))
    left = np.setdiff1d(fold.train, inner)
    assert len(inner) and clips.label[left].any(0).all()
    assert len(np.unique(clips.subject[inner])) == len(inner) / 6
