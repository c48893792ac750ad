"""STSTNet against its plain PyTorch twin, at the paper's size."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from jmer import keys
from jmer.errors import UsageError
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import describe
from jmer.models.ststnet import STSTNetConfig
from jmer.train.checkpoint import flatten, unflatten

CONFIG = STSTNetConfig()
FLOW = np.random.default_rng(0).normal(size=(7, 28, 28, 3)).astype(np.float32)
LABEL = np.arange(7, dtype=np.int32) % 3
KEY = keys.named(keys.seed_key(0), "s1")


@pytest.fixture(scope="module")
def twins():
    """The published network's modules; skips without PyTorch."""
    pytest.importorskip("torch")
    from twins import ststnet

    return ststnet


def split(dtype=jnp.float32, seed=0, config=CONFIG):
    model = config.build(3, dtype=dtype, rngs=nnx.Rngs(params=seed))
    return nnx.split(model, nnx.Param, nnx.BatchStat)


def split_of(twin, twins, **options):
    """jmer's network with a twin's arrays."""
    graphdef, *states = split(**options)
    template = {"params": states[0], "stats": states[1]}
    flat = CONFIG.from_torch(twins.arrays(twin.state_dict()))
    assert set(flat) == set(flatten(template))
    # `unflatten` takes the first size for tasks, and does not compare it.
    for path, value in flatten(template).items():
        assert flat[path].shape == value.shape
        assert flat[path].dtype == value.dtype
    full = unflatten(template, flat, Path("twin"))
    return graphdef, full["params"], full["stats"]


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def forward(graphdef, params, stats, flow, *, train=False, key=None, weight=None):
    """Logits, and the statistics afterwards."""
    model = nnx.merge(graphdef, params, stats, copy=True)
    logits = model(flow, train=train, key=key, weight=weight)
    return logits, nnx.state(model, nnx.BatchStat)


@functools.partial(jax.jit, static_argnums=0)
def loss_gradients(graphdef, params, stats, flow, label, weight):
    def objective(params):
        logits, _ = forward(graphdef, params, stats, flow, train=True, weight=weight)
        return weighted_mean(cross_entropy(logits, label), weight)

    return jax.value_and_grad(objective)(params)


def close(actual, expected, rtol):
    """Each array to a share of its largest value."""
    assert set(actual) == set(expected)
    for path, value in expected.items():
        atol = rtol * np.abs(value).max()
        assert_allclose(actual[path], value, rtol, atol, err_msg=path)


def test_describes_the_network_of_the_paper():
    record = describe(CONFIG)
    assert record["name"] == "ststnet"
    assert "Liong" in record["paper"]
    assert record["parameters"] == record["trained"] == 1683
    assert record["input"] == "apex_flow 28x28x3"
    assert set(record) == {"name", "paper", "parameters", "trained", "input"}


def test_has_as_many_parameters_as_its_twin(twins):
    assert sum(p.numel() for p in twins.STSTNet().parameters()) == 1683


@pytest.mark.parametrize(
    ("config", "classes"),
    [(CONFIG, 3), (STSTNetConfig(size=13, filters=(2, 7)), 5)],
    ids=["paper", "small"],
)
def test_shape_and_dtype_of_logits(config, classes):
    def logits(flow):
        model = config.build(classes, dtype=jnp.bfloat16, rngs=nnx.Rngs(params=0))
        return model(flow)

    shape = jax.ShapeDtypeStruct((11, *config.input_shapes[0]), jnp.uint8)
    found = jax.eval_shape(logits, shape)
    assert (found.shape, found.dtype) == ((11, classes), jnp.float32)


@pytest.mark.parametrize("seed", [0, 1])
def test_evaluates_as_its_twin(twins, seed):
    twin = twins.random_twin(seed)
    logits, stats = forward(*split_of(twin, twins), FLOW)
    expected = twin(twins.image(FLOW)).detach().numpy()
    close({"logits": logits}, {"logits": expected}, 1e-5)
    before = split_of(twin, twins)[2]
    jax.tree.map(assert_array_equal, stats, before)


def test_trains_as_its_twin(twins):
    """Output and running statistics of a step, dropout aside."""
    twin = twins.random_twin(2, dropout=0.0)
    ours = split_of(twin, twins)
    logits, stats = forward(*ours, FLOW, train=True)
    expected = twin.train()(twins.image(FLOW)).detach().numpy()
    close({"logits": logits}, {"logits": expected}, 1e-5)
    flat = CONFIG.from_torch(twins.arrays(twin.state_dict()))
    tracked = {path: v for path, v in flat.items() if path.startswith("stats.")}
    close(flatten({"stats": stats}), tracked, 1e-5)


def test_loss_gradients_are_its_twins(twins):
    import torch

    twin = twins.random_twin(3, dropout=0.0)
    ours = split_of(twin, twins)
    loss, gradients = loss_gradients(*ours, FLOW, LABEL, np.ones(7, np.float32))
    logits = twin.train()(twins.image(FLOW))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(LABEL).long())
    expected.backward()
    assert_allclose(loss, expected.item(), rtol=1e-5)
    # Reordering is linear: a gradient goes through the import as its weight does.
    state = dict(twin.state_dict()) | {n: p.grad for n, p in twin.named_parameters()}
    flat = CONFIG.from_torch(twins.arrays(state))
    flat = {path: v for path, v in flat.items() if path.startswith("params.")}
    close(flatten({"params": gradients}), flat, 1e-4)


def test_clips_of_another_subject_change_no_gradient():
    graphdef, params, stats = split()
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    noisy = FLOW.copy()
    noisy[weight == 0] = 100 * FLOW[weight == 0] ** 3 + 7
    found = [
        loss_gradients(graphdef, params, stats, flow, LABEL, weight)
        for flow in (FLOW, noisy)
    ]
    jax.tree.map(assert_array_equal, *found)


def test_order_of_clips_is_kept_and_changes_nothing():
    graphdef, params, stats = split()
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    logits, _ = forward(graphdef, params, stats, FLOW)
    shuffled, _ = forward(graphdef, params, stats, FLOW[order])
    assert_allclose(shuffled, logits[order], rtol=1e-5, atol=1e-6)
    assert_allclose(
        forward(graphdef, params, stats, FLOW[2:3])[0][0], logits[2], 1e-5, 1e-6
    )


@pytest.mark.parametrize(
    "flow", [FLOW, 0 * FLOW, 255 * abs(FLOW)], ids=["flow", "still", "image"]
)
def test_gradients_are_finite(flow):
    loss, gradients = loss_gradients(*split(), flow, LABEL, np.ones(7, np.float32))
    assert np.isfinite(loss)
    for path, value in flatten(gradients).items():
        assert np.isfinite(value).all(), path


def test_bfloat16_comes_near_float32():
    wide, _ = forward(*split(), FLOW)
    narrow, _ = forward(*split(dtype=jnp.bfloat16), FLOW)
    assert narrow.dtype == jnp.float32
    assert_allclose(narrow, wide, atol=0.03 * np.abs(wide).max())
    assert (narrow != wide).any()
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(split(dtype=jnp.bfloat16)[1:])}
    assert dtypes == {jnp.dtype(jnp.float32)}


def test_dropout_depends_on_the_key_and_on_training():
    model = split()
    other = keys.named(keys.seed_key(0), "s2")
    first, _ = forward(*model, FLOW, train=True, key=KEY)
    assert_array_equal(first, forward(*model, FLOW, train=True, key=KEY)[0])
    assert (first != forward(*model, FLOW, train=True, key=other)[0]).any()
    assert (first != forward(*model, FLOW, train=True)[0]).any()
    assert_array_equal(forward(*model, FLOW, key=KEY)[0], forward(*model, FLOW)[0])


def test_dropout_of_rate_zero_is_none():
    model = split(config=STSTNetConfig(dropout=0.0))
    without, _ = forward(*model, FLOW, train=True)
    assert_array_equal(forward(*model, FLOW, train=True, key=KEY)[0], without)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 3),
        ("filters", ()),
        ("filters", (3, 0)),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
    ],
)
def test_bad_fields_are_refused_by_the_name_of_the_option(field, value):
    with pytest.raises(UsageError, match=rf"model\.{field}="):
        STSTNetConfig(**{field: value})


def test_the_smallest_image_has_logits():
    config = STSTNetConfig(size=4, filters=(2,))
    graphdef, *states = split(config=config)
    assert forward(graphdef, *states, FLOW[:, :4, :4])[0].shape == (7, 3)
