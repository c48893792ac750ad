"""Pooling against PyTorch, `reduce_window` and plain loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numeric import close, normal, pulled
from numpy.testing import assert_allclose, assert_array_equal

from jmer import nn

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
    """Below zero, so that padding with zeros would win; all but the first have ties,
    the last with padding of its own kind."""
    x = normal(0, 2, *space, 3) - 2
    ties = np.clip(np.round(x), -4, -3), np.full_like(x, -1), np.full_like(x, -np.inf)
    return x, *ties


@pytest.mark.parametrize(
    ("kind", "lowering"),
    [("max", "patches"), ("max", "gpu"), ("max", "backend"), ("avg", "patches")],
)
@pytest.mark.parametrize("name", POOLS)
def test_pools_match_torch_gradients_and_ties_included(name, kind, lowering):
    space, *sizes = POOLS[name]
    window, strides, padding = sizes
    pool = functools.partial(
        KINDS[kind], window=window, strides=strides, padding=padding
    )
    step = jax.jit(functools.partial(pulled, pool))
    # JAX's own gradient goes to the padding where all else is -inf, too.
    for x in values_of(space)[: 3 if lowering == "backend" else 4]:
        with nn.use_lowering(lowering):
            y, (gradient,) = step(x)
        expected = torch_pool(kind, x, normal(9, *y.shape), *sizes)
        assert_allclose(y, expected[0], rtol=1e-6)
        assert_allclose(gradient, expected[1], rtol=1e-5, atol=1e-6)


@st.composite
def windows(draw):
    """Window, strides and padding that PyTorch takes, and a space they fit in."""
    rank = draw(st.integers(1, 3))
    window = draw(st.tuples(*[st.integers(1, 4)] * rank))
    strides = draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 5)] * rank)))
    padding = tuple(draw(st.integers(0, w // 2)) for w in window)
    space = tuple(
        draw(st.integers(max(1, w - 2 * p), 9))
        for w, p in zip(window, padding, strict=True)
    )
    return space, window, strides, padding


@settings(max_examples=12, deadline=None)
@given(windows())
@pytest.mark.parametrize("kind", KINDS)
def test_pools_of_any_size_match_reduce_window(kind, drawn):
    space, *sizes = drawn
    x = normal(0, 2, *space, 3)

    def run(lowering):
        with nn.use_lowering(lowering):
            return pulled(lambda x: KINDS[kind](x, sizes[0], **options), x)

    options = {"strides": sizes[1], "padding": sizes[2]}
    for lowering in ("patches", "gpu"):
        close(run(lowering), run("backend"), 1e-6)


def test_each_lowering_pools_overlapping_windows_its_own_way():
    def program(lowering):
        with nn.use_lowering(lowering):
            pool = functools.partial(nn.max_pool, window=(3, 3), strides=(2, 2))
            return str(jax.make_jaxpr(pool)(normal(0, 2, 7, 9, 3)))

    for lowering in nn.LOWERINGS:
        left_to_it = lowering in ("backend", "tpu")
        assert ("reduce_window" in program(lowering)) == left_to_it


def test_overlapping_pool_of_narrow_values_keeps_their_type():
    x = jnp.asarray(normal(0, 2, 7, 9, 3), jnp.bfloat16)
    pool = functools.partial(nn.max_pool, window=(3, 2), strides=(2, 1))
    value, (gradient,) = pulled(pool, x)
    assert value.dtype == gradient.dtype == jnp.bfloat16
    assert_array_equal(value, pool(x.astype(jnp.float32)))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("window", [(2, 2), (4, 8), (14, 14), (28, 28)])
def test_means_of_narrow_values_are_right_to_a_rounding(window, dtype):
    """Of the values as they are, in float64; 196 numbers of 400 fit no float16."""
    x = jnp.asarray(400 * abs(normal(0, 2, 28, 28, 3)), dtype)
    means = nn.avg_pool(x, window)
    assert means.dtype == dtype
    h, w = window
    wide = np.asarray(x, np.float64)[:, :, : 28 // w * w]
    expected = wide.reshape(2, 28 // h, h, 28 // w, w, 3).mean((2, 4))
    assert_allclose(np.asarray(means, np.float64), expected, rtol=jnp.finfo(dtype).eps)


@pytest.mark.parametrize("lowering", ["patches", "gpu"])
@pytest.mark.parametrize("strides", [(3, 2), (2, 1)])
def test_pools_mapped_over_tasks_match_a_loop(strides, lowering):
    x = normal(0, 5, 2, 7, 11, 3)
    for pool in KINDS.values():
        step = jax.jit(
            jax.grad(lambda x, p=pool: (p(x, (3, 2), strides=strides) ** 2).sum())
        )
        with nn.use_lowering(lowering):
            close(jax.vmap(step)(x), np.stack([step(one) for one in x]))


def test_pools_refuse_a_window_of_another_rank():
    with pytest.raises(ValueError, match="2 spatial axes"):
        nn.max_pool(normal(0, 2, 5, 7, 3), (2, 2, 2))


@pytest.mark.parametrize("pool", KINDS.values())
@pytest.mark.parametrize("lowering", nn.LOWERINGS)
def test_pools_refuse_what_they_cannot_pool(pool, lowering):
    x = normal(0, 2, 5, 4, 3)
    with nn.use_lowering(lowering):
        for window, options, told in (
            ((6, 2), {}, "6 x 2 do not fit in images of 5 x 4$"),
            ((2, 8), {"padding": (0, 1)}, "5 x 4, 5 x 6 with padding"),
            ((3, 3), {"strides": (2, 2), "padding": (2, 1)}, "more than half"),
            ((2, 2), {"strides": (2, 0)}, "strides=.* above 0"),
            ((2, 2), {"strides": (2,)}, "strides=.* each of 2"),
            ((0, 2), {}, "window=.* above 0"),
            ((2, 2), {"padding": (1,)}, "padding=.* each of 2"),
            ((2, 2), {"padding": (0, -1)}, "padding=.* from 0"),
        ):
            with pytest.raises(ValueError, match=told):
                pool(x, window, **options)
        for kind in (np.int32, np.uint8, bool):
            with pytest.raises(TypeError):
                pool(x.astype(kind), (2, 2))
        assert pool(x[:0], (2, 2)).shape == (0, 2, 2, 3)
        assert pool(x[:0], (3, 3), strides=(2, 1)).shape == (0, 2, 2, 3)
