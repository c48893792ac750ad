"""The fused block against its layers one by one, for one task and for many."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jmer import nn
from jmer.nn.dropout import keep_words, kept_scale
from jmer.nn.lowering import fused, windows
from jmer.nn.lowering.slots import Geometry, patch_index, slots

KEY = jax.random.key(5)


def make_block(case, seed=0, **options):
    """A block none of whose values is trivial; some scales are negative."""
    rng = np.random.default_rng(seed)
    block = nn.ConvBlock(**(case | options), rngs=nnx.Rngs(params=seed))
    channels = case["outputs"]
    block.norm.scale[...] = jnp.asarray(rng.normal(size=channels), jnp.float32)
    block.norm.bias[...] = jnp.asarray(rng.normal(size=channels), jnp.float32)
    block.norm.mean[...] = jnp.asarray(rng.normal(size=channels), jnp.float32)
    block.norm.var[...] = jnp.asarray(rng.uniform(0.5, 2, channels), jnp.float32)
    return block


CASES = {
    "2d": (
        {
            "inputs": 3,
            "outputs": 4,
            "kernel": (3, 3),
            "padding": (2, 2),
            "pool": (3, 3),
            "pool_padding": (1, 1),
            "average": (2, 2),
            "dropout": 0.5,
        },
        (10, 13),
    ),
    "strided, no mean": (
        {
            "inputs": 2,
            "outputs": 3,
            "kernel": (3, 2),
            "strides": (2, 1),
            "pool": (2, 3),
            "pool_padding": (1, 0),
            "dropout": 0.3,
        },
        (9, 11),
    ),
    "3d": (
        {
            "inputs": 2,
            "outputs": 3,
            "kernel": (2, 3, 3),
            "padding": (1, 1, 0),
            "pool": (2, 2, 1),
            "average": (1, 2, 2),
        },
        (4, 5, 7),
    ),
}
WEIGHT = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0])


@pytest.fixture(params=CASES, name="case")
def _case(request):
    return CASES[request.param]


def clips(space, inputs, seed=1):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(1, 3, (len(WEIGHT), *space, inputs)), jnp.float32)


def outcome(lowering, block, x, *, train=True, weight=WEIGHT):
    """Values of clips that count, running statistics and all gradients."""
    graphdef, params, stats = nnx.split(block, nnx.Param, nnx.BatchStat)

    def loss(params, x):
        model = nnx.merge(graphdef, params, stats, copy=True)
        with nn.use_lowering(lowering):
            y = model(x, train=train, key=KEY, weight=weight)
        y = y * weight.reshape(-1, *(1,) * (y.ndim - 1))
        projection = np.random.default_rng(7).normal(size=y.shape)
        return (y * projection).sum(), (y, nnx.state(model, nnx.BatchStat))

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, x)


def assert_close(a, b, rtol=2e-5):
    """To a share of the largest value of each array."""
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(
            x, y, rtol, rtol * np.abs(y).max(initial=1e-30)
        ),
        a,
        b,
    )


@pytest.mark.parametrize("lowering", ["patches", "tpu", "gpu"])
@pytest.mark.parametrize("train", [True, False])
def test_fused_equals_the_layers_one_by_one(case, train, lowering):
    """Values, running statistics, gradients of parameters and of the input."""
    options, space = case
    block, x = make_block(options), clips(space, options["inputs"])
    assert fused.fits(block.geometry(space))
    found = outcome(lowering, block, x, train=train)
    assert_close(found, outcome("backend", block, x, train=train))
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(found[1]))


def test_fused_equals_the_layers_in_float64(case):
    """So that the agreement is of formulas, not of roundings."""
    options, space = case
    with jax.enable_x64(True):
        block = make_block(options, dtype=jnp.float64)
        wide = functools.partial(jax.tree.map, lambda v: v.astype(jnp.float64))
        graphdef, state = nnx.split(block)
        block = nnx.merge(graphdef, wide(state))
        x = clips(space, options["inputs"]).astype(jnp.float64)
        found, expected = (outcome(low, block, x) for low in ("patches", "backend"))
        # Statistics and pooled values are float32 by contract: the bound is theirs.
        assert_close(found, expected, 5e-6)


@pytest.mark.parametrize("lowering", ["patches", "tpu", "gpu"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_tasks_together_equal_tasks_alone(case, shared, lowering):
    """Merged into the lanes of one product where they share their clips."""
    options, space = case
    blocks = [make_block(options, seed) for seed in range(3)]
    graphdef = nnx.split(blocks[0])[0]
    state = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *(nnx.state(block) for block in blocks)
    )
    xs = [clips(space, options["inputs"], 1 if shared else i) for i in range(3)]
    weights = jnp.stack([jnp.roll(WEIGHT, i) for i in range(3)])

    def one(state, x, weight):
        return outcome(lowering, nnx.merge(graphdef, state), x, weight=weight)

    x = xs[0] if shared else jnp.stack(xs)
    together = jax.vmap(one, in_axes=(0, None if shared else 0, 0))(state, x, weights)
    for i, block in enumerate(blocks):
        alone = outcome("backend", block, xs[i], weight=weights[i])
        assert_close(jax.tree.map(lambda v, i=i: v[i], together), alone)


def test_many_tiles_equal_one(case, monkeypatch):
    options, space = case
    block, x = make_block(options), clips(space, options["inputs"])
    whole = outcome("patches", block, x)
    fused.pooled_features.cache_clear()
    monkeypatch.setattr(fused, "TILE", 1)
    assert_close(outcome("patches", block, x), whole)
    fused.pooled_features.cache_clear()


def test_clips_after_the_last_that_counts_are_not_computed(case):
    options, space = case
    block = make_block(options)
    x = clips(space, options["inputs"])
    weight = jnp.array([1.0, 1.0, 0.0, 0.0, 0.0])
    assert_close(
        outcome("patches", block, x, weight=weight),
        outcome("backend", block, x, weight=weight),
    )
    worse = x.at[2:].set(jnp.nan)  # and nothing of them is ever read
    monkeyed = outcome("patches", block, worse, weight=weight)
    jax.tree.map(
        lambda leaf: np.testing.assert_array_equal(np.isnan(leaf), False),
        monkeyed[0][1][1],
    )


def test_integers_need_no_conversion(case):
    """And have no gradient."""
    options, space = case
    block = make_block(options)
    x = np.random.default_rng(3).integers(0, 256, (5, *space, options["inputs"]))

    def value(x):
        with nn.use_lowering("patches"):
            return block(x, weight=WEIGHT)

    assert_close(
        value(jnp.asarray(x, jnp.uint8)), value(jnp.asarray(x, jnp.float32)), 1e-6
    )


def test_statistics_of_bright_clips_keep_their_digits():
    """A mean 1000 times the spread: sums of squares alone would lose the variance."""
    options = CASES["2d"][0]
    block = make_block(options)
    block.conv.kernel[...] = jnp.abs(block.conv.kernel[...])
    block.conv.bias[...] = jnp.full(4, 1000.0)
    block.norm.mean[...] = jnp.full(4, 1000.0)
    x = jnp.abs(clips((10, 13), 3))
    (_, (_, stats)), _ = outcome("patches", block, x)
    (_, (_, expected)), _ = outcome("backend", block, x)
    assert_close(stats, expected, 1e-5)


def test_a_gradient_that_nobody_asks_for_is_not_computed():
    """The input's, of a first layer."""
    options, space = CASES["2d"]
    block, x = make_block(options), clips(space, 3)
    graphdef, params, stats = nnx.split(block, nnx.Param, nnx.BatchStat)

    def loss(params, x):
        with nn.use_lowering("patches"):
            return (nnx.merge(graphdef, params, stats, copy=True)(x, train=True)).sum()

    def writes(argument):
        step = jax.jit(jax.grad(loss, argument))
        return step.lower(params, x).compile().as_text().count("scatter")

    assert writes(1) > 0 and writes(0) == 0


def test_a_mean_over_too_many_windows_is_done_one_by_one():
    """Their winners do not fit an integer."""
    options = CASES["2d"][0] | {
        "average": (3, 4),
        "pool": (2, 2),
        "pool_padding": (0, 0),
    }
    block, x = make_block(options), clips((10, 13), 3)
    assert not fused.fits(block.geometry((10, 13)))
    assert_close(outcome("patches", block, x), outcome("backend", block, x))


@pytest.mark.parametrize("lowering", ["patches", "tpu", "gpu"])
def test_of_equal_values_the_first_gets_the_gradient(lowering):
    """Whatever the sign of the scale; small whole numbers are exact, often equal."""
    options = CASES["2d"][0] | {"dropout": 0.0}
    block = make_block(options)
    assert (block.norm.scale[...] > 0).any() and (block.norm.scale[...] < 0).any()
    block.conv.kernel[...] = jnp.round(block.conv.kernel[...] * 8)
    block.conv.bias[...] = jnp.full(4, 2.0)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (5, 10, 13, 3)), float)
    assert_close(outcome(lowering, block, x), outcome("backend", block, x))


@pytest.mark.parametrize("lowering", ["tpu", "gpu"])
def test_an_infinite_clip_of_no_weight_reaches_no_sum(lowering):
    block = make_block(CASES["2d"][0])
    x = clips((10, 13), 3).at[1].set(jnp.inf)
    (_, (_, stats)), _ = outcome(lowering, block, x)
    _, (_, same) = outcome(lowering, block, x.at[1].set(0.0))[0]
    jax.tree.map(np.testing.assert_array_equal, stats, same)


@pytest.mark.parametrize("lowering", ["tpu", "gpu"])
def test_in_bfloat16_it_is_as_close_to_float32_as_the_layers_are(lowering):
    options = CASES["2d"][0]
    block, x = make_block(options), clips((10, 13), 3)
    expected = outcome("backend", block, x)[1][0]
    low = make_block(options, dtype=jnp.bfloat16)

    def error(found):
        return np.max(
            [
                np.abs(a - b).max() / np.abs(b).max()
                for a, b in zip(
                    jax.tree.leaves(found), jax.tree.leaves(expected), strict=True
                )
            ]
        )

    plain = error(outcome("backend", low, x)[1][0])
    assert error(outcome(lowering, low, x)[1][0]) <= max(1.2 * plain, 0.02)


def test_windows_of_many_places_are_done_one_by_one():
    """Their marks would cost too many digits."""
    options = CASES["2d"][0] | {"pool": (5, 5), "average": (1, 1)}
    block, x = make_block(options), clips((10, 13), 3)
    assert not windows.fits(block.geometry((10, 13)))
    found, plain = (outcome(low, block, x) for low in ("tpu", "backend"))
    near = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(near, found, plain)


def test_turned_words_are_the_same_integers():
    for shape in ((5, 6, 16), (5, 6, 3)):
        for rate in (0.0, 0.3, 0.5):
            words = keep_words(KEY, shape, 4, rate)
            turned = keep_words(KEY, shape, 4, rate, turned=True)
            np.testing.assert_array_equal(turned, words.T)


# --- slots


@st.composite
def geometries(draw):
    rank = draw(st.integers(1, 3))

    def sizes(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    pool = sizes(1, 3)
    return Geometry(
        space=sizes(6, 9),
        inputs=draw(st.integers(1, 2)),
        window=sizes(1, 3),
        strides=sizes(1, 2),
        padding=sizes(0, 2),
        pool=pool,
        pool_padding=tuple(draw(st.integers(0, w // 2)) for w in pool),
        average=sizes(1, 2),
    )


def blocks(x, count, window):
    """[*count, pixels] of the first `count` windows of `x`."""
    x = x[tuple(slice(n * w) for n, w in zip(count, window, strict=True))]
    rank = len(window)
    x = x.reshape([s for pair in zip(count, window, strict=True) for s in pair])
    order = [*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)]
    return x.transpose(order).reshape(*count, -1)


@settings(max_examples=60, deadline=None)
@given(geometries())
def test_every_pixel_has_one_slot_and_pools_see_theirs(geometry):
    if min(geometry.cells) < 1:
        return
    pixels, seen = slots(geometry)
    found = pixels[pixels >= 0]
    assert sorted(found) == list(range(math.prod(geometry.out)))
    # Pooling slot numbers one by one gives what the pools give.
    x = np.random.default_rng(0).normal(size=(1, *geometry.out, 1)).astype(np.float32)
    values = np.where(seen, x.reshape(-1)[pixels[: len(seen)]], -np.inf)
    windows, means = math.prod(geometry.pool), math.prod(geometry.average)
    cells = values.reshape(windows, means, -1).max(0).mean(0)
    padded = np.pad(
        x[0, ..., 0],
        [(p, w) for p, w in zip(geometry.pool_padding, geometry.pool, strict=True)],
        constant_values=-np.inf,
    )
    pooled = blocks(padded, geometry.pooled, geometry.pool).max(-1)
    expected = blocks(pooled, geometry.cells, geometry.average).mean(-1)
    # Means of values of both signs may be small beside their terms.
    np.testing.assert_allclose(cells, np.ravel(expected), rtol=1e-6, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(geometries())
def test_patches_times_kernel_is_the_convolution(geometry):
    if min(geometry.cells) < 1:
        return
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, *geometry.space, geometry.inputs))
    kernel = rng.normal(size=(*geometry.window, geometry.inputs, 1))
    pads = [(0, 0), *((p, p) for p in geometry.padding), (0, 0)]
    flat = np.concatenate([np.pad(x, pads).ravel(), [1.0, 0.0]])
    index, (pixels, _) = patch_index(geometry), slots(geometry)
    outputs = flat[index] @ np.concatenate([kernel.ravel(), [0.25]])
    letters = "DHW"[-len(geometry.window) :]
    with jax.enable_x64(True):
        expected = lax.conv_general_dilated(
            jnp.asarray(x),
            jnp.asarray(kernel),
            geometry.strides,
            pads[1:-1],
            dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        )
    expected = np.append(np.ravel(expected) + 0.25, 0.0)  # -1: no pixel, no bias
    np.testing.assert_allclose(outputs, expected[pixels], rtol=1e-9, atol=1e-9)


# --- dropout in words


@pytest.mark.parametrize("rate", [0.5, 0.25, 0.3])
def test_words_keep_the_right_share(rate):
    words = np.asarray(keep_words(KEY, (50, 40, 3), 5, rate))
    assert words.dtype == np.uint8 and words.max() < 32
    bits = (words[..., None] >> np.arange(5)) & 1
    shares = bits.mean((0, 1, 2))
    np.testing.assert_allclose(shares, 1 - rate, atol=0.03)
    pairs = (bits[..., 0] * bits[..., 1]).mean()
    assert abs(pairs - (1 - rate) ** 2) < 0.03
    assert kept_scale(rate) == pytest.approx(1 / (1 - rate), rel=1e-4)


@pytest.mark.parametrize("elements", [1, 8, 9, 32])
def test_without_dropout_all_is_kept(elements):
    words = np.asarray(keep_words(None, (3,), elements, 0.5))
    assert (words == 2**elements - 1).all()
    assert (np.asarray(keep_words(KEY, (3,), elements, 0.0)) == words).all()
    assert kept_scale(0.0) == 1
