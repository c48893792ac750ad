"""Layers against float64 references and PyTorch; convolution and pooling have files."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.random import threefry_2x32
from numeric import close, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn
from jmer.nn.conv import conv
from jmer.nn.lowering.choice import LOWERINGS
from jmer.nn.noise import integers


def test_gradients_export_to_every_platform():
    def loss(kernel, scale, x):
        y = conv(x, kernel, (1, 1), ((2, 2), (2, 2)), (1, 1))
        y, *_ = nn.norm.normalise(y, scale, scale, jnp.ones(x.shape[0]), 1e-5)
        return (nn.avg_pool(nn.max_pool(y, (3, 3), padding=(1, 1)), (2, 2)) ** 2).sum()

    step = jax.jit(jax.grad(loss, argnums=(0, 1)))
    arguments = normal(0, 3, 3, 3, 5), normal(1, 5), normal(2, 2, 11, 13, 3)
    exported = jax.export.export(step, platforms=("tpu", "cuda", "cpu"))(*arguments)
    assert set(exported.platforms) == {"tpu", "cuda", "cpu"}
    close(exported.call(*arguments), jax.device_get(step(*arguments)))


# --- batch norm


def norm_of(seed, channels=3, **options):
    layer = nn.BatchNorm(channels, **options)
    for i, name in enumerate(("scale", "bias", "mean", "var")):
        value = normal(seed + i, channels)
        getattr(layer, name)[...] = jnp.asarray(abs(value) + 0.1 if i else value)
    return layer


def norm_step(layer, x, dy, weight=None):
    """Output, updated statistics, and gradients to (scale, bias, x), in training."""
    graphdef, *states = nnx.split(layer, nnx.Param, nnx.BatchStat)
    return jax.device_get(jitted_norm_step(graphdef, *states, x, dy, weight))


@functools.partial(jax.jit, static_argnums=0)
def jitted_norm_step(graphdef, params, statistics, x, dy, weight):
    def forward(params, x):
        copy = nnx.merge(graphdef, params, statistics, copy=True)
        y = copy(x, train=True, weight=weight)
        return y, (copy.mean[...], copy.var[...])

    y, pull, tracked = jax.vjp(forward, params, x, has_aux=True)
    gradients, dx = pull(dy)
    return y, tracked, (gradients["scale"][...], gradients["bias"][...], dx)


@pytest.mark.parametrize("shift", [0, 20])
def test_batch_norm_matches_torch(shift):
    torch = pytest.importorskip("torch")
    ours = norm_of(0)
    theirs = torch.nn.BatchNorm2d(3)
    pairs = ("weight", "scale"), ("bias", "bias"), ("running_mean", "mean")
    with torch.no_grad():
        for torch_name, name in (*pairs, ("running_var", "var")):
            value = torch.tensor(np.array(getattr(ours, name)[...]))
            getattr(theirs, torch_name).copy_(value)
    for seed in range(3):
        x, dy = normal(seed, 5, 7, 2, 3) * 3 + shift, normal(seed + 7, 5, 7, 2, 3)
        y, tracked, (dscale, dbias, dx) = norm_step(ours, x, dy)
        theirs.zero_grad()
        leaf = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
        expected = theirs(leaf)
        expected.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
        last = [a.detach().numpy().transpose(0, 2, 3, 1) for a in (expected, leaf.grad)]
        close((y, dx), tuple(last), 1e-4)
        close(
            (dscale, dbias, *tracked),
            tuple(
                a.detach().numpy()
                for a in (
                    theirs.weight.grad,
                    theirs.bias.grad,
                    theirs.running_mean,
                    theirs.running_var,
                )
            ),
            1e-4,
        )
        ours(x, train=True)
        close((ours.mean[...], ours.var[...]), tracked, 1e-6)

    theirs.eval()
    theirs.zero_grad()
    leaf = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    expected = theirs(leaf)
    expected.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    before = ours.mean[...], ours.var[...]
    y, pull = jax.vjp(ours, x)
    close(y, expected.detach().permute(0, 2, 3, 1).numpy(), 1e-4)
    close(pull(jnp.asarray(dy))[0], leaf.grad.permute(0, 2, 3, 1).numpy(), 1e-4)
    assert_array_equal(before, (ours.mean[...], ours.var[...]))


def test_batch_norm_gradient_is_that_of_its_definition():
    """The closed form against automatic differentiation, in float64."""
    weight = np.array([1.0, 0, 1, 1, 0])
    x, dy = normal(0, 5, 2, 7, 3), normal(1, 5, 2, 7, 3)
    scale, bias = normal(2, 3), normal(3, 3)

    def definition(x, scale, bias):
        inside = x[weight > 0]
        mean, var = inside.mean((0, 1, 2)), inside.var((0, 1, 2))
        return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias

    # Clips that do not count get no gradient from a loss that leaves them out.
    dy *= weight[:, None, None, None].astype(np.float32)
    with jax.enable_x64(True):
        wide = [jnp.asarray(a, jnp.float64) for a in (x, scale, bias)]
        expected, pull = jax.vjp(definition, *wide)
        expected = jax.device_get((expected, pull(jnp.asarray(dy, jnp.float64))))
    value, pull = jax.vjp(
        lambda *a: nn.norm.normalise(*a, jnp.asarray(weight, jnp.float32), 1e-5)[0],
        *(jnp.asarray(a) for a in (x, scale, bias)),
    )
    close((value, pull(jnp.asarray(dy))), expected, 1e-5)


def test_statistics_of_many_values_keep_their_digits():
    """As many as the published batch has; their variance must not be a running sum."""
    x = normal(0, 199, 1009, 3) + np.float32(0.5)
    layer = nn.BatchNorm(3, momentum=1.0)
    layer(x, train=True)
    exact = x.astype(np.float64)
    assert_allclose(layer.mean[...], exact.mean((0, 1)), rtol=1e-6)
    assert_allclose(layer.var[...], exact.var((0, 1), ddof=1), rtol=1e-6)


def test_images_of_a_clip_are_normalised_apart():
    """Two clips of two images, one pixel each: 1 and 11, 3 and 15. By hand: the first
    images have mean 2 and variance 1, the second ones 13 and 4. The running mean goes
    half way to each, from 0 to 1 to 7, and the variance, unbiased 2 and 8, from 1 to
    1.5 to 4.75. A third clip does not count."""
    x = np.float32([1, 11, 3, 15, 70, -80])[:, None]
    weight = np.float32([1, 1, 1, 1, 0, 0])
    layer = nn.BatchNorm(1, momentum=0.5, epsilon=0)
    y = layer(jnp.asarray(x), train=True, weight=weight, apart=2)
    assert_allclose(y[:4, 0], [-1, -1, 1, 1], rtol=1e-6)
    assert_allclose([layer.mean[0], layer.var[0]], [7, 4.75], rtol=1e-6)
    pooled = nn.BatchNorm(1, momentum=0.5, epsilon=0)
    y = pooled(jnp.asarray(x), train=True, weight=weight)
    assert_allclose(y[:4, 0], np.float32([-6.5, 3.5, -4.5, 7.5]) / 32.75**0.5, 1e-6)
    assert_allclose(pooled.mean[0], 3.75, rtol=1e-6)


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_images_apart_are_as_by_one_call_after_another(lowering):
    """Values, statistics and gradients, also under `vmap`, as tasks are mapped."""
    x, dy = normal(0, 2, 4, 3, 5, 3), normal(1, 2, 4, 3, 5, 3)
    weight = np.float32([[1, 1, 0, 1], [0, 1, 1, 1]])
    graphdef, *states = nnx.split(norm_of(0), nnx.Param, nnx.BatchStat)

    def run(parts, x, weight):
        layer = nnx.merge(graphdef, parts, states[1], copy=True)
        flat, each = x.reshape(-1, 5, 3), jnp.repeat(weight, 3)
        y = layer(flat, train=True, weight=each, apart=3).reshape(x.shape)
        return y, layer.mean[...], layer.var[...]

    def in_turn(parts, x, weight):
        layer = nnx.merge(graphdef, parts, states[1], copy=True)
        y = [layer(x[:, i], train=True, weight=weight) for i in range(3)]
        return jnp.stack(y, 1), layer.mean[...], layer.var[...]

    def of_each_task(function):
        def one(x, dy, weight):
            value = function(states[0], x, weight)
            pull = jax.vjp(lambda p, x: function(p, x, weight)[0], states[0], x)[1]
            return value, pull(dy)

        return jax.vmap(one)(x, dy, weight)

    with nn.use_lowering(lowering):
        found = of_each_task(run)
    expected = of_each_task(in_turn)
    close(found, expected, 1e-5)


WEIGHT = np.float32([1, 0, 1, 1, 0, 0, 1])
KEPT = WEIGHT > 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e6))
def test_clips_of_weight_zero_change_nothing_to_the_bit(seed, size):
    x = normal(0, 7, 5, 2, 3)
    dy = normal(1, *x.shape) * WEIGHT[:, None, None, None]
    noisy = x.copy()
    noisy[~KEPT] = size * normal(seed, *x[~KEPT].shape)
    results = [norm_step(norm_of(0), a, dy, WEIGHT) for a in (x, noisy)]
    for y, _, (*_, dx) in results:
        assert np.isfinite(y[KEPT]).all()
        assert np.isfinite(dx[KEPT]).all()
    (y, tracked, (*first, dx)), (y2, tracked2, (*second, dx2)) = results
    assert_array_equal(y[KEPT], y2[KEPT])
    assert_array_equal(dx[KEPT], dx2[KEPT])
    assert_array_equal(tracked, tracked2)
    assert_array_equal(first, second)


def test_infinite_clips_of_weight_zero_stay_out_of_the_statistics():
    x = normal(0, 7, 5, 2, 3)
    wild = x.copy()
    wild[~KEPT] = np.float32([np.inf, -np.inf, np.nan])
    layers = norm_of(0), norm_of(0)
    outputs = [
        layer(jnp.asarray(a), train=True, weight=WEIGHT)
        for layer, a in zip(layers, (x, wild), strict=True)
    ]
    assert_array_equal(outputs[0][KEPT], outputs[1][KEPT])
    assert_array_equal(layers[0].mean[...], layers[1].mean[...])
    assert_array_equal(layers[0].var[...], layers[1].var[...])


def test_masked_batch_equals_the_batch_without_the_others():
    x = normal(0, 7, 5, 2, 3)
    dy = normal(1, *x.shape) * WEIGHT[:, None, None, None]
    y, tracked, (*gradients, dx) = norm_step(norm_of(0), x, dy, WEIGHT)
    small = norm_step(norm_of(0), x[KEPT], dy[KEPT])
    close((y[KEPT], tracked, (*gradients, dx[KEPT])), small)
    assert_array_equal(dx[~KEPT], 0)
    full = norm_step(norm_of(0), x, dy, np.ones(7, np.float32))
    close(full, norm_step(norm_of(0), x, dy), 1e-6)


def test_a_single_value_gives_finite_statistics():
    """Where PyTorch refuses: the variance of one value has no unbiased estimate."""
    layer = norm_of(0)
    y = layer(normal(0, 2, 3), train=True, weight=np.float32([0, 1]))
    assert np.isfinite(y).all()
    assert np.isfinite(layer.var[...]).all()


def test_batch_norm_keeps_float32_statistics_of_narrow_inputs():
    layer = norm_of(0, dtype=jnp.bfloat16)
    x = jnp.asarray(normal(0, 5, 7, 2, 3), jnp.bfloat16)
    assert layer(x, train=True).dtype == jnp.bfloat16
    assert layer.mean[...].dtype == layer.var[...].dtype == jnp.float32
    wide = norm_of(0)
    wide(x.astype(jnp.float32), train=True)
    assert_array_equal(layer.var[...], wide.var[...])


# --- dropout

KEY = jax.random.key(5)
rates = st.floats(0, 1, exclude_max=True)


@settings(max_examples=20, deadline=None)
@given(rates)
@pytest.mark.parametrize("grid", [256, 2**16])
def test_dropout_keeps_the_mean_exactly(grid, rate):
    """Over all random words, each once: the scale is one over the share kept."""
    rate = min(round(rate * grid) / grid, 1 - 1 / grid)
    words = {}

    def all_words(key, shape, bits):
        words[bits] = np.arange(2**bits, dtype=np.uint32)
        return jnp.asarray(words[bits])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["jmer.nn.dropout"], "integers", all_words)
        levels = 256 if (rate * 256).is_integer() else 2**16
        y = np.asarray(nn.dropout(jnp.ones(levels), rate, KEY))
    if rate:
        assert [len(w) for w in words.values()] == [levels]
    assert (y == 0).mean() == rate
    assert len(np.unique(y[y != 0])) == 1
    assert y.astype(np.float64).mean() == pytest.approx(1, rel=1e-7)


@pytest.mark.parametrize(
    ("width", "shape", "axis"),
    [
        *((8, (3, 16, 5), 1), (8, (8, 3), 0), (16, (4,), 0), (8, (5, 3, 24, 7), 2)),
        *((16, (3, 5), 0), (32, (2, 7), 0), (32, (1,), 0), (32, (3, 2, 2), 1)),
        *((16, (2, 3, 8), 0), (8, (1, 1, 8), 0)),
    ],
)
def test_integers_are_the_pieces_of_blocks(width, shape, axis):
    """Those of Threefry by JAX's own, cut by hand, one after another along an axis."""
    each = 64 // width
    blocks = list(shape)
    blocks[axis] = -(-shape[axis] // each)
    many = int(np.prod(blocks))
    counts = np.concatenate([np.zeros(many), np.arange(many)]).astype(np.uint32)
    halves = np.split(np.asarray(threefry_2x32(jax.random.key_data(KEY), counts)), 2)
    pieces = [
        (half.reshape(blocks) >> np.uint32(shift)) & np.uint32(2**width - 1)
        for half in halves
        for shift in range(0, 32, width)
    ]
    whole = list(shape)
    whole[axis] = blocks[axis] * each
    expected = np.stack(pieces, axis + 1).reshape(whole).take(range(shape[axis]), axis)
    found = integers(KEY, shape, width)
    assert found.dtype == jnp.uint32 and found.shape == shape
    assert_array_equal(found, expected)
    many = jax.vmap(lambda key: integers(key, shape, width))
    assert_array_equal(many(jnp.stack([jax.random.key(9), KEY]))[1], expected)


@pytest.mark.parametrize("shape", [(3, 7, 5), (5,), (2, 16, 3), (1, 4)])
@pytest.mark.parametrize("width", [8, 16])
def test_integers_of_a_clip_do_not_depend_on_those_after_it(shape, width):
    """Batches that are filled up, or go through in parts, lose what they would lose."""
    few = integers(KEY, shape, width)
    for more in (1, 2, 11):
        longer = integers(KEY, (shape[0] + more, *shape[1:]), width)
        assert_array_equal(longer[: shape[0]], few)


def test_integers_are_uniform_and_independent():
    """Chi squared of bytes, and correlations of neighbours along each axis."""
    found = np.asarray(integers(KEY, (64, 32, 128), 8)).astype(float)
    counts = np.bincount(found.astype(int).ravel(), minlength=256)
    expected = found.size / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * 510**0.5
    centred = (found - 127.5) / 73.9
    for axis, apart in ((0, 1), (0, 8), (0, 32), (1, 1), (2, 1), (2, 32)):
        size = found.shape[axis]
        one = centred.take(range(size - apart), axis)
        other = centred.take(range(apart, size), axis)
        assert abs((one * other).mean()) < 5 / one.size**0.5


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.9])
def test_dropout_drops_its_share(rate):
    x = 1 + abs(normal(0, 101, 97))
    y = np.asarray(nn.dropout(x, rate, KEY))
    dropped = y == 0
    assert abs(dropped.mean() - rate) < 4 * (rate * (1 - rate) / x.size) ** 0.5
    assert_allclose(y[~dropped], x[~dropped] / (1 - rate), rtol=1e-4)
    gradient = jax.grad(lambda x: nn.dropout(x, rate, KEY).sum())(x)
    assert_array_equal(np.asarray(gradient) == 0, dropped)


def test_dropout_depends_on_its_key_alone():
    x = jnp.ones((7, 11))
    first = nn.dropout(x, 0.3, KEY)
    assert_array_equal(first, nn.dropout(x, 0.3, jax.random.key(5)))
    assert (first != nn.dropout(x, 0.3, jax.random.key(6))).any()
    assert nn.dropout(x.astype(jnp.bfloat16), 0.3, KEY).dtype == jnp.bfloat16


def test_dropout_without_key_or_rate_is_the_identity():
    x = jnp.ones((7, 11))
    assert nn.dropout(x, 0.5, None) is x
    assert nn.dropout(x, 0.0, KEY) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
@pytest.mark.parametrize("key", [None, KEY])
def test_dropout_refuses_other_rates(rate, key):
    with pytest.raises(ValueError, match="rate"):
        nn.dropout(jnp.ones(3), rate, key)


def test_statistics_in_one_pass_are_those_in_two():
    """Values, running statistics and gradients; a clip of weight 0 is left out."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(3, 2, (5, 4, 3, 6)), jnp.float32)
    weight = jnp.array([1.0, 0.0, 1.0, 1.0, 1.0])
    layer = nn.BatchNorm(6)
    layer.scale[...] = jnp.asarray(rng.normal(size=6), jnp.float32)
    layer.mean[...] = jnp.asarray(rng.normal(3, 1, 6), jnp.float32)
    graphdef, params, stats = nnx.split(layer, nnx.Param, nnx.BatchStat)

    def outcome(lowering, x):
        def value(params, x):
            model = nnx.merge(graphdef, params, stats, copy=True)
            with nn.use_lowering(lowering):
                y = model(x, train=True, weight=weight)
            return (y * jnp.sin(y)).sum(), nnx.state(model, nnx.BatchStat)

        return jax.value_and_grad(value, (0, 1), has_aux=True)(params, x)

    two, one = outcome("backend", x), outcome("tpu", x)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * np.abs(b).max())
    (_, stats_a), _ = one
    (_, stats_b), _ = outcome("tpu", x.at[1].set(jnp.inf))
    jax.tree.map(np.testing.assert_array_equal, stats_a, stats_b)
