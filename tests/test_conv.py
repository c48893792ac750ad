"""Convolution against XLA's in float64, PyTorch and plain loops."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jmer import nn
from jmer.nn.conv import conv
from jmer.nn.lowering import by_task, cudnn, patches
from jmer.nn.lowering.choice import use_lowering
from jmer.nn.lowering.kept import kept

# x, kernel, strides, padding, dilation
CONVS = {
    "1d": ((2, 11, 3), (4, 3, 5), (2,), ((1, 1),), (1,)),
    "2d": ((2, 7, 11, 3), (3, 3, 3, 5), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "2d uneven padding": (
        (2, 7, 5, 3),
        (3, 5, 3, 2),
        (1, 1),
        ((0, 2), (2, 1)),
        (1, 1),
    ),
    "2d strided": ((2, 11, 13, 3), (3, 2, 3, 5), (2, 3), ((2, 2), (0, 0)), (1, 1)),
    "2d dilated": ((2, 11, 13, 3), (3, 2, 3, 5), (1, 2), ((2, 2), (1, 1)), (2, 3)),
    "2d as large as the input": (
        (2, 5, 7, 3),
        (5, 7, 3, 2),
        (2, 1),
        ((0, 0), (0, 0)),
        (1, 1),
    ),
    "2d of one pixel": ((2, 5, 7, 3), (1, 1, 3, 2), (2, 3), ((0, 0), (0, 0)), (1, 1)),
    "3d": ((2, 5, 7, 6, 3), (2, 3, 1, 3, 4), (1, 1, 1), ((0, 0),) * 3, (1, 1, 1)),
    "3d strided": (
        (2, 5, 7, 11, 3),
        (3, 2, 3, 3, 2),
        (1, 2, 3),
        ((1, 1), (0, 0), (2, 2)),
        (1, 1, 1),
    ),
    "3d many channels": (
        (2, 3, 5, 4, 17),
        (3, 3, 3, 17, 2),
        (1, 1, 1),
        ((1, 1), (1, 1), (1, 1)),
        (1, 1, 1),
    ),
}
GEOMETRY = ("strides", "padding", "dilation")


@pytest.fixture(params=CONVS, name="case")
def _case(request):
    return CONVS[request.param]


def check(lowering, case, value_error=2e-6, gradient_error=5e-6):
    """A lowering in float32 against XLA's in float64, and both gradients."""
    x, kernel = normal(0, *case[0]), normal(1, *case[1])
    geometry = dict(zip(GEOMETRY, case[2:], strict=True))
    run, exact = (
        jax.jit(functools.partial(pulled, functools.partial(f, **geometry)))
        for f in (lowering, by_task.plain)
    )
    value, gradients = run(x, kernel)
    with jax.enable_x64(True):
        wide = (jnp.asarray(a, jnp.float64) for a in (x, kernel))
        expected, expected_gradients = jax.device_get(exact(*wide))
    assert value.dtype == jnp.float32
    close(value, expected, value_error)
    close(gradients, expected_gradients, gradient_error)


LOWERINGS = {
    "chosen": conv,
    "taps": patches.by_taps,
    "rows of two": lambda x, *a, **k: patches.by_blocks(
        x, *a, **k, tile=(2,) * (x.ndim - 2)
    ),
    "first axis whole": lambda x, *a, **k: patches.by_blocks(
        x, *a, **k, tile=(patches.WHOLE, *(1,) * (x.ndim - 3))
    ),
    "rows summed": lambda x, *a, **k: patches.by_blocks(
        x, *a, **k, tile=(1,) * (x.ndim - 2), summed=x.ndim - 3
    ),
    "all summed": lambda x, *a, **k: patches.by_blocks(
        x, *a, **k, tile=(1, 2, 1)[: x.ndim - 2], summed=x.ndim - 2
    ),
    "backend": by_task.plain,
    "by task": cudnn.convolve,
}


@pytest.mark.parametrize("lowering", LOWERINGS)
def test_conv_and_its_gradients_match_float64(case, lowering):
    check(LOWERINGS[lowering], case)


PLANNED = {
    "two pixels": ((2, 2, 2, 9), (3, 3, 9, 4), (1, 1), ((1, 1),) * 2),
    "wide window": ((2, 9, 8, 3), (5, 5, 3, 2), (2, 2), ((2, 2),) * 2),
    "few channels strided": ((2, 7, 6, 8), (3, 3, 8, 4), (2, 2), ((1, 1),) * 2),
    "frames strided": ((2, 5, 5, 6, 9), (3, 3, 3, 9, 4), (2, 2, 2), ((1, 1),) * 3),
    "frames": ((2, 5, 5, 6, 8), (3, 3, 3, 8, 2), (1, 1, 1), ((1, 1),) * 3),
}


@pytest.mark.parametrize("name", PLANNED)
def test_conv_as_planned_matches_float64(name):
    x, kernel, strides, padding = PLANNED[name]
    check(conv, (x, kernel, strides, padding, (1,) * len(strides)))


def test_values_kept_are_the_same_and_so_is_their_gradient():
    x = normal(0, 2, 3, 5)
    value, (gradient,) = pulled(kept, x)
    assert_array_equal(value, x)
    assert_allclose(gradient, pulled(lambda x: x, x)[1][0], rtol=0, atol=0)


@st.composite
def geometries(draw):
    """A case, a tile for it, of one to three axes, and how many of them are summed."""
    rank = draw(st.integers(1, 3))

    def each(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * rank))

    window, strides, dilation, low, high = (
        each(*bounds) for bounds in ((1, 3), (1, 3), (1, 2), (0, 2), (0, 2))
    )
    space = tuple(
        max(1, (k - 1) * d + 1 - a - b + rest)
        for k, d, a, b, rest in zip(
            window, dilation, low, high, each(0, 4), strict=True
        )
    )
    channels = draw(st.sampled_from((2, 9, 17)))
    padding = tuple(zip(low, high, strict=True))
    shapes = (2, *space, channels), (*window, channels, 3)
    return (*shapes, strides, padding, dilation), each(0, 3), draw(st.integers(0, rank))


@settings(max_examples=8, deadline=None)
@given(geometries())
def test_conv_of_any_geometry_matches_float64(drawn):
    case, tile, summed = drawn
    check(conv, case)
    check(functools.partial(patches.by_blocks, tile=tile, summed=summed), case)


@pytest.mark.parametrize(
    "case", ["2d", "2d dilated", "3d many channels"], indirect=True
)
def test_an_unused_input_gradient_is_not_computed(case):
    """The first layer's: it would cost as much as the kernel's."""
    x, kernel = normal(0, *case[0]), normal(1, *case[1])

    def products(argnums):
        def loss(x, kernel):
            return (conv(x, kernel, *case[2:]) ** 2).sum()

        step = jax.jit(jax.grad(loss, argnums=argnums))
        return step.lower(x, kernel).compile().as_text().count(" dot(")

    forward = jax.jit(conv, static_argnums=(2, 3, 4)).lower(x, kernel, *case[2:])
    value = forward.compile().as_text().count(" dot(")
    assert value > 0
    assert products((1,)) == 2 * value
    assert products((0, 1)) == 3 * value


def test_conv_matches_torch_conv3d():
    torch = pytest.importorskip("torch")
    x, kernel = normal(0, 2, 5, 7, 11, 3), normal(1, 3, 2, 3, 3, 4)
    expected = torch.nn.functional.conv3d(
        torch.tensor(x).permute(0, 4, 1, 2, 3),
        torch.tensor(kernel).permute(4, 3, 0, 1, 2),
        stride=(1, 2, 3),
        padding=(1, 0, 2),
        dilation=(1, 1, 2),
    )
    value = conv(x, kernel, (1, 2, 3), ((1, 1), (0, 0), (2, 2)), (1, 1, 2))
    close(value, expected.permute(0, 2, 3, 4, 1).numpy())


@pytest.mark.parametrize("tasks", [by_task.UNROLLED, by_task.UNROLLED + 1])
@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)], ids=str)
def test_on_a_gpu_large_convolutions_of_tasks_are_no_groups(tasks, axes, monkeypatch):
    """There and back."""
    many = (2 * 4 * 6 * 5) * (3 * 2 * 3)  # of the result; of the window, each
    monkeypatch.setattr(cudnn, "WORTH", many)
    geometry = ((2, 1), ((1, 1), (0, 2)), (1, 2))
    both = normal(0, tasks, 2, 7, 6, 3), normal(1, tasks, 3, 2, 3, 5)
    x, kernel = (a if axis == 0 else a[0] for a, axis in zip(both, axes, strict=True))
    step = functools.partial(pulled, lambda *pair: conv(*pair, *geometry))

    def groups(lowering):
        with use_lowering(lowering):
            # Another function each time: `jit` knows nothing of the lowering.
            mapped = jax.jit(jax.vmap(lambda *pair: step(*pair), axes))
            text = mapped.lower(x, kernel).as_text()
        found = re.findall(r"(?:feature|batch)_group_count = (\d+)", text)
        return {int(count) for count in found}

    grouped = {1, tasks} if axes == (0, 0) else {1}
    assert groups("gpu") == {1} and groups("backend") == grouped
    monkeypatch.setattr(cudnn, "WORTH", many + 1)
    assert groups("gpu") == grouped


@pytest.mark.parametrize("lowering", ["patches", "gpu"])
@pytest.mark.parametrize("own", [False, True], ids=["shared input", "own inputs"])
@pytest.mark.parametrize("case", ["2d", "2d strided", "3d strided"], indirect=True)
def test_conv_mapped_over_kernels_matches_a_loop(case, own, lowering, monkeypatch):
    """Values and gradients, by `vmap` and by `lax.map`."""
    monkeypatch.setattr(by_task, "UNROLLED", 2)
    monkeypatch.setattr(cudnn, "WORTH", 0)
    conv = {"patches": patches.convolve, "gpu": cudnn.convolve}[lowering]
    x_shape, kernel_shape, *geometry = case
    tasks = 3
    kernels = normal(1, tasks, *kernel_shape)
    inputs = normal(0, *((tasks,) if own else ()), *x_shape)

    def loss(kernel, x):
        return (conv(x, kernel, *geometry) ** 2).mean()

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
    plain = conv(x, layer.kernel[...], (2, 1), ((1, 1), (0, 0)), (1, 1))
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


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_convolutions_refuse_what_does_not_go_together(lowering):
    def layer(kernel, **options):
        return nn.Conv(3, 2, kernel, rngs=nnx.Rngs(0), **options)

    x = normal(0, 2, 5, 4, 3)
    with nn.use_lowering(lowering):
        for kernel, options, told in (
            ((6, 2), {}, "6 x 2 do not fit in images of 5 x 4$"),
            ((2, 7), {"padding": (0, 1)}, "5 x 4, 5 x 6 with padding"),
            ((3, 3), {"dilation": (3, 1)}, "7 x 3 do not fit"),
            ((3, 3), {"strides": (1, 0)}, "strides=.* above 0"),
            ((3, 3, 3), {}, "each of 2 spatial axes"),
        ):
            with pytest.raises(ValueError, match=told):
                layer(kernel, **options)(x)
        with pytest.raises(ValueError, match="of 2 channels, and a kernel for 3"):
            layer((3, 3))(x[..., :2])


@pytest.mark.parametrize("lowering", nn.LOWERINGS)
@pytest.mark.parametrize("name", CONVS)
def test_no_clips_have_no_outputs_and_no_gradient(name, lowering):
    shape, kernel, *sizes = CONVS[name]
    kernel = normal(1, *kernel)

    def step(x):
        with nn.use_lowering(lowering):
            return pulled(lambda x, kernel: conv(x, kernel, *sizes), x, kernel)

    some, _ = jax.eval_shape(step, jnp.zeros(shape))
    y, (dx, dkernel) = step(jnp.zeros((0, *shape[1:])))
    assert y.shape == (0, *some.shape[1:])
    assert dx.shape == (0, *shape[1:])
    assert_array_equal(dkernel, np.zeros_like(kernel))
