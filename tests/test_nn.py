"""Layers against float64 references, PyTorch and plain loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jmer import nn
from jmer.nn.conv import _convolve, _patch_product, conv

# x, kernel, strides, padding
CONVS = {
    "1d": ((2, 11, 3), (4, 3, 5), (2,), ((1, 1),)),
    "2d": ((2, 7, 11, 3), (3, 3, 3, 5), (1, 1), ((0, 0), (0, 0))),
    "2d same": ((2, 7, 5, 3), (3, 5, 3, 2), (1, 1), ((1, 1), (2, 2))),
    "2d strided": ((2, 11, 13, 3), (3, 2, 3, 5), (2, 3), ((2, 2), (0, 0))),
    "3d": ((2, 5, 7, 6, 3), (2, 3, 1, 3, 4), (1, 1, 1), ((0, 0),) * 3),
    "3d strided": (
        (2, 5, 7, 11, 3),
        (3, 2, 3, 3, 2),
        (1, 2, 3),
        ((1, 1), (0, 0), (2, 2)),
    ),
}


@pytest.fixture(params=CONVS, name="case")
def _case(request):
    return CONVS[request.param]


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(actual, expected, rtol=1e-5):
    """To a share of the largest value, since sums near 0 keep no relative digits."""
    jax.tree.map(
        lambda a, e: assert_allclose(a, e, rtol, rtol * np.abs(e).max(initial=1e-30)),
        actual,
        expected,
    )


def pulled(function, *arguments):
    """The value, and the gradients of a random projection of it."""
    value, pull = jax.vjp(function, *arguments)
    return value, pull(jnp.asarray(normal(9, *value.shape), value.dtype))


def exact_conv(x, kernel, strides, padding):
    """XLA's convolution and its gradients, in float64."""
    with jax.enable_x64(True):
        x, kernel = (jnp.asarray(a, jnp.float64) for a in (x, kernel))
        convolve = functools.partial(_convolve, strides=strides, padding=padding)
        return jax.device_get(jax.jit(functools.partial(pulled, convolve))(x, kernel))


# --- convolution


@pytest.mark.parametrize("lowering", [conv, _patch_product, _convolve])
def test_conv_and_its_gradients_match_float64(case, lowering):
    x, kernel, strides, padding = normal(0, *case[0]), normal(1, *case[1]), *case[2:]
    layer = functools.partial(lowering, strides=strides, padding=padding)
    value, gradients = jax.jit(functools.partial(pulled, layer))(x, kernel)
    expected, expected_gradients = exact_conv(x, kernel, strides, padding)
    assert value.dtype == jnp.float32
    close(value, expected, 2e-6)
    close(gradients, expected_gradients, 5e-6)


def test_conv_matches_torch_conv3d():
    torch = pytest.importorskip("torch")
    x, kernel = normal(0, 2, 5, 7, 11, 3), normal(1, 3, 2, 3, 3, 4)
    expected = torch.nn.functional.conv3d(
        torch.tensor(x).permute(0, 4, 1, 2, 3),
        torch.tensor(kernel).permute(4, 3, 0, 1, 2),
        stride=(1, 2, 3),
        padding=(1, 0, 2),
    )
    value = conv(x, kernel, (1, 2, 3), ((1, 1), (0, 0), (2, 2)))
    close(value, expected.permute(0, 2, 3, 4, 1).numpy())


@pytest.mark.parametrize("own", [False, True], ids=["shared input", "own inputs"])
@pytest.mark.parametrize("case", ["2d strided", "3d strided"], indirect=True)
def test_conv_mapped_over_kernels_matches_a_loop(case, own):
    """Values and gradients, by `vmap` and by `lax.map`."""
    x_shape, kernel_shape, strides, padding = case
    tasks = 3
    kernels = normal(1, tasks, *kernel_shape)
    inputs = normal(0, *((tasks,) if own else ()), *x_shape)

    def loss(kernel, x):
        return (conv(x, kernel, strides, padding) ** 2).mean()

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    alone = [step(kernels[i], inputs[i] if own else inputs) for i in range(tasks)]
    loop = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    close(jax.vmap(step, in_axes=(0, 0 if own else None))(kernels, inputs), loop)
    scanned = (
        lax.map(lambda pair: step(*pair), (kernels, inputs))
        if own
        else lax.map(lambda kernel: step(kernel, inputs), kernels)
    )
    close(scanned, loop)
    if not own:  # one gradient to the input of all tasks
        total = jax.grad(lambda x: jax.vmap(loss, in_axes=(0, None))(kernels, x).sum())(
            inputs
        )
        close(total, loop[1][1].sum(0))


def test_conv_layer_adds_its_bias_and_computes_in_its_dtype():
    options = {"strides": (2, 1), "padding": (1, 0), "rngs": nnx.Rngs(params=3)}
    layer = nn.Conv(3, 5, (3, 2), **options)
    x = normal(0, 2, 7, 11, 3)
    plain = conv(x, layer.kernel[...], (2, 1), ((1, 1), (0, 0)))
    close(layer(x), plain + layer.bias[...], 1e-6)
    half = nn.Conv(3, 5, (3, 2), dtype=jnp.bfloat16, **options)
    half.kernel, half.bias = layer.kernel, layer.bias
    assert half.kernel[...].dtype == jnp.float32
    assert half(x).dtype == jnp.bfloat16
    close(half(x).astype(jnp.float32), layer(x), 0.03)


def test_conv_without_bias_has_one_parameter():
    layer = nn.Conv(3, 5, (3,), bias=False, rngs=nnx.Rngs(params=0))
    assert len(jax.tree.leaves(nnx.state(layer, nnx.Param))) == 1
    assert_array_equal(layer(np.zeros((2, 7, 3), np.float32)), 0)


@pytest.mark.parametrize(
    ("kernel", "inputs"), [((3, 3), 5), ((2, 3, 5), 3), ((1, 1), 7)]
)
def test_initial_values_are_uniform_as_in_torch(kernel, inputs):
    layer = nn.Conv(inputs, 499, kernel, rngs=nnx.Rngs(params=1))
    bound = (inputs * np.prod(kernel)) ** -0.5
    for values in (layer.kernel[...], layer.bias[...]):
        values = np.asarray(values).ravel()
        assert np.abs(values).max() <= bound
        uniform = stats.uniform(-bound, 2 * bound)
        assert stats.kstest(values, uniform.cdf).pvalue > 1e-3


def test_initial_values_are_distributed_as_torch_draws_them():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.Conv2d(5, 499, 3)
    ours = nn.Conv(5, 499, (3, 3), rngs=nnx.Rngs(params=1))
    for a, b in ((ours.kernel, theirs.weight), (ours.bias, theirs.bias)):
        a, b = np.asarray(a[...]).ravel(), b.detach().numpy().ravel()
        assert stats.ks_2samp(a, b).pvalue > 1e-3
        assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=0.01)


def test_gradients_export_to_every_platform():
    def loss(kernel, scale, x):
        y = conv(x, kernel, (1, 1), ((2, 2), (2, 2)))
        y, *_ = nn.norm.normalise(y, scale, scale, jnp.ones(x.shape[0]), 1e-5)
        return (nn.avg_pool(nn.max_pool(y, (3, 3), padding=(1, 1)), (2, 2)) ** 2).sum()

    step = jax.jit(jax.grad(loss, argnums=(0, 1)))
    arguments = normal(0, 3, 3, 3, 5), normal(1, 5), normal(2, 2, 11, 13, 3)
    exported = jax.export.export(step, platforms=("tpu", "cuda", "cpu"))(*arguments)
    assert set(exported.platforms) == {"tpu", "cuda", "cpu"}
    close(exported.call(*arguments), jax.device_get(step(*arguments)))


# --- pooling

# space, window, strides, padding
POOLS = {
    "whole": ((6, 9), (2, 3), None, None),
    "rest dropped": ((7, 11), (2, 3), None, None),
    "padded": ((7, 11), (3, 2), None, (1, 1)),
    "padded, rest dropped": ((7, 8), (3, 3), None, (1, 1)),
    "overlapping": ((7, 11), (3, 2), (2, 1), None),
    "overlapping, padded": ((7, 11), (3, 2), (1, 1), (1, 1)),
    "apart": ((11, 13), (2, 2), (3, 5), None),
    "3d": ((5, 7, 6), (2, 3, 2), None, (1, 0, 1)),
    "3d overlapping": ((5, 7, 6), (3, 3, 2), (2, 2, 1), (1, 1, 0)),
    "1d": ((11,), (3,), None, (1,)),
    "too large to take apart": ((13, 12), (12, 11), None, None),
}
KINDS = {"max": nn.max_pool, "avg": nn.avg_pool}


def torch_pool(kind, x, dy, window, strides, padding):
    """PyTorch's value and gradient, channels last."""
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"{kind}_pool{len(window)}d")
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    y = pool(leaf, window, strides, padding or 0)
    y.backward(torch.tensor(np.moveaxis(dy, -1, 1).copy()))
    return [np.moveaxis(a.detach().numpy(), 1, -1) for a in (y, leaf.grad)]


def values_of(space):
    """Below zero, so that padding with zeros would win; the last two have ties."""
    x = normal(0, 2, *space, 3) - 2
    return x, np.clip(np.round(x), -4, -3), np.full_like(x, -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", POOLS)
def test_pools_match_torch_gradients_and_ties_included(name, kind):
    space, *sizes = POOLS[name]
    window, strides, padding = sizes
    pool = functools.partial(
        KINDS[kind], window=window, strides=strides, padding=padding
    )
    step = jax.jit(functools.partial(pulled, pool))
    for x in values_of(space):
        y, (gradient,) = step(x)
        expected = torch_pool(kind, x, normal(9, *y.shape), *sizes)
        assert_allclose(y, expected[0], rtol=1e-6)
        assert_allclose(gradient, expected[1], rtol=1e-5, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_pools_of_any_size_match_reduce_window(data):
    rank = data.draw(st.integers(1, 2))
    window = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    padding = tuple(data.draw(st.integers(0, w // 2)) for w in window)
    space = tuple(
        data.draw(st.integers(max(1, w - 2 * p), 9))
        for w, p in zip(window, padding, strict=True)
    )
    x = normal(0, 2, *space, 3)
    sizes = (
        (1, *window, 1),
        (1, *window, 1),
        ((0, 0), *((p, p) for p in padding), (0, 0)),
    )
    highest = lax.reduce_window(x, -np.inf, lax.max, *sizes)
    assert_array_equal(nn.max_pool(x, window, padding=padding), highest)
    mean = lax.reduce_window(x, 0.0, lax.add, *sizes) / np.prod(window)
    assert_allclose(nn.avg_pool(x, window, padding=padding), mean, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strides", [(3, 2), (2, 1)])
def test_pools_mapped_over_tasks_match_a_loop(strides):
    x = normal(0, 5, 2, 7, 11, 3)
    for pool in KINDS.values():
        step = jax.jit(
            jax.grad(lambda x, p=pool: (p(x, (3, 2), strides=strides) ** 2).sum())
        )
        close(jax.vmap(step)(x), np.stack([step(one) for one in x]))


def test_pools_refuse_a_window_of_another_rank():
    with pytest.raises(ValueError, match="2 spatial axes"):
        nn.max_pool(normal(0, 2, 5, 7, 3), (2, 2, 2))


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

    def all_words(key, shape, dtype):
        words[dtype] = np.arange(2 ** jnp.iinfo(dtype).bits, dtype=dtype)
        return jnp.asarray(words[dtype])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "bits", all_words)
        levels = 256 if (rate * 256).is_integer() else 2**16
        y = np.asarray(nn.dropout(jnp.ones(levels), rate, KEY))
    if rate:
        assert [len(w) for w in words.values()] == [levels]
    assert (y == 0).mean() == rate
    assert len(np.unique(y[y != 0])) == 1
    assert y.astype(np.float64).mean() == pytest.approx(1, rel=1e-7)


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
