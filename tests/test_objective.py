"""The losses of an experiment: against PyTorch, by hand, and in packs."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from engine import (
    assert_resumes,
    assert_trees_close,
    assert_trees_equal,
    make_program,
    row,
    tasks_of,
    train,
    trees_differ,
)
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal
from toy import make_clips

from jmer import keys
from jmer.errors import UsageError
from jmer.experiment import load_experiment
from jmer.losses import binary_cross_entropy, cross_entropy, label_loss
from jmer.models.hsta import HstaConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.train.objective import (
    LossConfig,
    balanced_weights,
    cost,
    cost_of_units,
    mixed,
    use_loss,
)

ALL = LossConfig(class_weights="balanced", focal=2.0, smoothing=0.1, mixup=0.4)
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(7, 4)).astype(np.float32) * 3
LABEL = np.int32([0, 1, 2, 3, 0, 0, 2])
ONE_HOT = np.eye(4, dtype=np.float32)[LABEL]
WEIGHTS = np.float32([0.5, 1, 2, 0.25])


# --- what a clip costs


def test_weights_and_smoothing_are_torchs():
    """Of each clip: PyTorch's mean divides by the weights of a batch besides."""
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(LOGITS, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        *(leaf, torch.tensor(LABEL).long(), torch.tensor(WEIGHTS)),
        **{"label_smoothing": 0.2, "reduction": "none"},
    )
    expected.sum().backward()
    config = LossConfig(smoothing=0.2)
    value, pull = jax.vjp(lambda x: cost(config, x, ONE_HOT, WEIGHTS), LOGITS)
    assert_allclose(value, expected.detach(), rtol=1e-5)
    assert_allclose(pull(jnp.ones(7))[0], leaf.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_by_hand(gamma):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    own = p[np.arange(7), LABEL].astype(np.float64)
    value = cost(LossConfig(focal=gamma), LOGITS, ONE_HOT)
    assert_allclose(value, -((1 - own) ** gamma) * np.log(own), rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_finite_gradients_where_all_is_sure(gamma):
    sure = np.float32([[90, 0, 0, 0], [-90, 0, 0, 0], [0, 0, 0, 0]])
    config, wanted = LossConfig(focal=gamma), ONE_HOT[[0, 0, 0]]
    slopes = jax.grad(lambda x: cost(config, x, wanted).sum())(sure)
    assert np.isfinite(slopes).all()


def test_nothing_asked_is_the_plain_cross_entropy():
    assert_allclose(
        cost(LossConfig(), LOGITS, ONE_HOT), cross_entropy(LOGITS, LABEL), rtol=1e-6
    )
    with use_loss(LossConfig(), LABEL, None, "it"):
        assert_array_equal(cross_entropy(LOGITS, LABEL), cross_entropy(LOGITS, LABEL))


def test_balanced_weights_are_scikit_learns_of_the_training_clips():
    label = np.int32([0, 0, 0, 1, 2, 2, 1, 0])
    train = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool)
    # n / (k n_c) of 6 clips: 3 of class 0, 1 of 1, 2 of 2; class 3 has none.
    expected = [6 / (3 * 3), 6 / (3 * 1), 6 / (3 * 2), 0]
    assert_allclose(balanced_weights(label, train, 4), expected, rtol=1e-6)


def test_a_network_is_told_what_its_cross_entropy_is():
    config = LossConfig(focal=2.0)
    with use_loss(config, LABEL, None, "it"):
        found = cross_entropy(LOGITS, LABEL)
        steps = cross_entropy(
            np.stack([LOGITS, LOGITS], 1), np.stack([LABEL, LABEL], 1)
        )
    assert_array_equal(found, cost(config, LOGITS, ONE_HOT))
    assert_allclose(steps, np.stack([found, found], 1), rtol=1e-6)
    assert (cross_entropy(LOGITS, LABEL) != found).all()


def test_a_network_with_another_loss_is_refused():
    message = r"hsta learns by another loss.* leave out --loss"
    with (
        pytest.raises(UsageError, match=message),
        use_loss(LossConfig(smoothing=0.1), LABEL, None, HstaConfig.name),
    ):
        pass


# --- action units

UNITS = RNG.random((7, 4)) < 0.4
SHOWN = UNITS.astype(np.float32)


def test_units_by_optax_and_torch():
    torch = pytest.importorskip("torch")
    of_units = functools.partial(cost_of_units, logits=LOGITS, wanted=SHOWN)
    focal = optax.sigmoid_focal_loss(LOGITS, SHOWN, gamma=2.0).mean(-1)
    assert_allclose(of_units(LossConfig(focal=2.0)), focal, rtol=1e-4)
    plain = binary_cross_entropy(LOGITS, UNITS)
    assert_allclose(of_units(LossConfig()), plain, rtol=1e-5)
    positive = np.float32([3, 1, 0.5, 2])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        *(torch.tensor(LOGITS), torch.tensor(SHOWN) * 0.8 + 0.1),
        **{"pos_weight": torch.tensor(positive), "reduction": "none"},
    )
    weights = np.stack([positive, np.ones(4, np.float32)])
    found = of_units(LossConfig(smoothing=0.2), unit_weight=weights)
    assert_allclose(found, expected.mean(-1), rtol=1e-5)


def test_balanced_weights_of_units_by_hand():
    label = np.array([[1, 0], [1, 0], [0, 0], [1, 1], [0, 1]], bool)
    train = np.array([1, 1, 1, 1, 0], bool)
    # Unit 0: 3 of 4 clips show it; unit 1: one does.
    expected = [[4 / (2 * 3), 4 / (2 * 1)], [4 / (2 * 1), 4 / (2 * 3)]]
    assert_allclose(balanced_weights(label, train, 2), expected, rtol=1e-6)
    # A unit that none shows has one side, which counts once.
    assert_allclose(balanced_weights(label[:3], train[:3], 2)[:, 1], [0, 1])


def test_units_of_mixed_clips_are_both():
    ones, config = np.ones(7, np.float32), LossConfig(mixup=1.0)
    _, labels = mixed({"x": LOGITS}, UNITS, ones, keys.seed_key(3), 1.0)
    with use_loss(config, labels, None, "it"):
        found = label_loss(LOGITS, UNITS)
    first, second = (label_loss(LOGITS, x) for x in (UNITS, labels.second))
    share = labels.share
    assert_allclose(found, share * first + (1 - share) * second, rtol=1e-5)


# --- mixing


def test_clips_are_mixed_with_those_that_count_alone():
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    x = RNG.normal(size=(7, 3)).astype(np.float32)
    x[weight == 0] = np.nan
    inputs, labels = mixed({"x": x}, LABEL, weight, keys.seed_key(0), 0.5)
    share = labels.share[0]
    assert 0 < share < 1
    own = weight > 0
    assert np.isfinite(inputs["x"][own]).all()
    assert sorted(labels.second[own].tolist()) == sorted(LABEL[own].tolist())
    # Who is mixed with whom follows from the numbers.
    rest = (inputs["x"][own] - share * x[own]) / (1 - share)
    partner = [np.abs(x - each).sum(1) for each in np.asarray(rest)]
    found = [int(np.nanargmin(each)) for each in partner]
    assert sorted(found) == np.flatnonzero(own).tolist()
    assert_array_equal(LABEL[found], labels.second[own])


def test_mixing_depends_on_the_key_alone():
    x = {"x": RNG.integers(0, 255, (7, 3)).astype(np.uint8)}
    ones = np.ones(7, np.float32)
    first, again, other = (
        mixed(x, LABEL, ones, keys.named(keys.seed_key(0), "step", step), 1.0)
        for step in (1, 1, 2)
    )
    assert_trees_equal(first, again)
    assert (first[1].share != other[1].share).all()
    assert first[0]["x"].dtype == np.float32


def test_labels_of_mixed_clips_are_both():
    inputs = {"x": LOGITS}
    ones, config = np.ones(7, np.float32), LossConfig(mixup=1.0)
    _, labels = mixed(inputs, LABEL, ones, keys.seed_key(3), 1.0)
    with use_loss(config, labels, None, "it"):
        found = cross_entropy(LOGITS, LABEL)
    first, second = (cross_entropy(LOGITS, x) for x in (LABEL, labels.second))
    share = labels.share
    assert_allclose(found, share * first + (1 - share) * second, rtol=1e-5)


def test_what_is_no_quantity_is_not_mixed():
    for name, kind in (("present", np.float32), ("track", np.int32)):
        with pytest.raises(UsageError, match=rf"{name} of clips.* --loss\.mixup"):
            inputs = {name: np.zeros((7, 2), kind)}
            mixed(inputs, LABEL, np.ones(7, np.float32), keys.seed_key(0), 0.2)


# --- training


@pytest.fixture(scope="module")
def clips():
    return make_clips()


@pytest.mark.parametrize(
    "mode", ["own", pytest.param("shared", marks=pytest.mark.slow)]
)
def test_packs_keep_their_promises(clips, mode):
    """Together as alone, and nothing of a held-out subject, bit for bit."""
    tasks = tasks_of(clips)
    options = {"mode": mode, "loss": ALL, "batch_size": 8}
    program = make_program(clips, chunk=4, **options)
    together, record = train(program, clips, tasks)
    assert record.alive.all()
    alone, _ = train(make_program(clips, chunk=1, **options), clips, tasks[1:2])
    assert_trees_close(row(together.params, 1), row(alone.params, 0), rtol=2e-3)

    held_out = clips.subject == tasks[1].fold
    noise = np.random.default_rng(5).normal(size=clips.inputs["apex_flow"].shape)
    flow = clips.inputs["apex_flow"].copy()
    flow[held_out] = noise[held_out] * 100
    label = np.where(held_out, (clips.label + 1) % 3, clips.label)
    # More of one class besides: balanced weights must not count them.
    label[held_out] = 0
    changed = dataclasses.replace(clips, inputs={"apex_flow": flow}, label=label)
    other, _ = train(program, changed, tasks)
    assert_trees_equal(row(together, 1), row(other, 1))
    assert trees_differ(row(together.params, 0), row(other.params, 0))


def test_weights_are_of_the_training_clips_of_each_fold(clips):
    """The loss of a first step of all clips, against the mean weighted by hand."""
    label = clips.label.copy()
    label[[1, 4]] = 0
    unequal = dataclasses.replace(clips, label=label)
    options = {"network": STSTNetConfig(size=7, filters=(2, 3), dropout=0.0)}
    options |= {"loss": LossConfig(class_weights="balanced"), "batch_size": 12}
    program, tasks = make_program(clips, **options), tasks_of(clips)[1:3]
    _, record = train(program, unequal, tasks, epochs=1)
    for task, found in zip(tasks, record.loss, strict=True):
        own = clips.subject != task.fold
        counts = np.bincount(label[own], minlength=3)
        weights = own.sum() / (3 * counts)
        assert len(set(counts.tolist())) > 1
        state = program.trainer.init(task.key())
        model = nnx.merge(program.trainer.graphdef, state.params, state.stats)
        logits = model(clips.inputs["apex_flow"][own], train=True)
        costs = cross_entropy(logits, label[own]) * weights[label[own]]
        assert_allclose(found, costs.mean(), rtol=1e-4)


def test_a_run_with_all_of_them_is_resumed_to_the_bit(clips, tmp_path):
    program = make_program(clips, chunk=4, mode="own", loss=ALL, batch_size=8)
    assert_resumes(program, clips, tasks_of(clips), tmp_path)


# --- the experiment


def test_a_plain_loss_leaves_the_identity_as_it_was():
    experiment = load_experiment("quickstart")
    assert "loss" not in experiment.identity()
    other = dataclasses.replace(experiment, loss=LossConfig(focal=2.0))
    assert other.identity()["loss"]["focal"] == 2.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("focal", -1.0),
        ("focal", float("inf")),
        ("smoothing", 1.0),
        ("mixup", float("nan")),
        ("class_weights", "inverse"),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    with pytest.raises(UsageError, match=rf"loss\.{field.replace('_', '.')}="):
        LossConfig(**{field: value})
