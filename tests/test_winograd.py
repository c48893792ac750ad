"""Convolutions with windows of 3 by fewer products."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_conv import check

from jmer.nn.lowering import patches, winograd

CASES = {
    "rows": ((2, 5, 6, 4), 4, ((1, 1), (1, 1)), (1,), 0),
    "rows, columns summed": ((2, 5, 7, 4), 3, ((1, 1), (1, 1)), (1,), 1),
    "images": ((2, 5, 6, 4), 3, ((1, 1), (1, 1)), (0, 1), 0),
    "without padding": ((2, 6, 5, 4), 3, ((0, 0), (0, 0)), (0, 1), 0),
    "one output": ((1, 3, 3, 2), 3, ((0, 0), (0, 0)), (0, 1), 0),
    "clips": ((2, 4, 5, 6, 4), 3, ((1, 1),) * 3, (0, 2), 0),
    "all axes": ((1, 4, 3, 5, 2), 3, ((1, 1), (2, 0), (0, 1)), (0, 1, 2), 0),
    "frames summed": ((2, 5, 4, 6, 4), 3, ((1, 1),) * 3, (2,), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_match_float64(name):
    x, outputs, padding, axes, summed = CASES[name]
    rank = len(padding)

    def convolve(x, kernel, strides, padding, dilation):
        return winograd.convolve(x, kernel, padding, axes, summed)

    ones = (1,) * rank
    check(convolve, (x, (3,) * rank + (x[-1], outputs), ones, padding, ones))


@st.composite
def geometries(draw):
    rank = draw(st.integers(1, 3))
    pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
    padding = draw(st.tuples(*[pads] * rank))
    space = tuple(max(1, 3 - sum(p)) + draw(st.integers(0, 4)) for p in padding)
    axes = draw(st.lists(st.sampled_from(range(rank)), unique=True))
    return (2, *space, 3), 2, padding, tuple(sorted(axes))


@settings(max_examples=10, deadline=None)
@given(geometries())
def test_any_sizes_and_axes_match_float64(drawn):
    x, outputs, padding, axes = drawn
    ones = (1,) * len(padding)

    def convolve(x, kernel, strides, padding, dilation):
        return winograd.convolve(x, kernel, padding, axes)

    check(convolve, (x, (3,) * len(padding) + (3, outputs), ones, padding, ones))


@pytest.mark.parametrize(
    ("x", "kernel", "sums"),
    [
        ((16, 24, 24, 64), (3, 3, 64, 64), ((0, 1), 0)),
        ((16, 24, 24, 16), (3, 3, 16, 64), ((1,), 0)),
        ((8, 14, 14, 32), (3, 3, 32, 32), ((1,), 0)),
        ((4, 8, 14, 14, 64), (3, 3, 3, 64, 64), ((0, 2), 0)),
        ((8, 4, 6, 6, 16), (3, 3, 3, 16, 16), ((2,), 1)),
        # Few channels, few products, few frames, other windows.
        ((16, 96, 96, 8), (3, 3, 8, 64), None),
        ((16, 96, 96, 64), (3, 3, 64, 8), None),
        ((2, 8, 8, 16), (3, 3, 16, 16), None),
        ((16, 3, 24, 64), (3, 3, 64, 64), None),
        ((8, 2, 28, 28, 64), (3, 3, 3, 64, 64), None),
        ((16, 24, 24, 64), (5, 3, 64, 64), None),
        ((16, 400, 64), (3, 64, 64), None),
    ],
)
def test_it_is_planned_where_it_pays(x, kernel, sums):
    def planned(dtype, **changed):
        x_, k_ = (jax.ShapeDtypeStruct(of, dtype) for of in (x, kernel))
        ones = (1,) * (len(x) - 2)
        options = {"strides": ones, "dilation": ones} | changed
        return winograd.plan(x_, k_, **options)

    assert planned(jnp.float32) == sums
    two = (1,) * (len(x) - 3) + (2,)
    assert planned(jnp.bfloat16) is None
    assert planned(jnp.float32, strides=two) is None
    assert planned(jnp.float32, dilation=two) is None


def test_a_convolution_of_many_channels_takes_16_products_of_a_quarter():
    """There, of 4 x 4 sums for 2 x 2 outputs each, without patches."""
    x, kernel = jnp.zeros((8, 24, 24, 64)), jnp.zeros((3, 3, 64, 64))

    def there(x, kernel):
        return patches.convolve(x, kernel, (1, 1), ((1, 1), (1, 1)), (1, 1))

    text = jax.jit(there).lower(x, kernel).as_text()
    lines = [line for line in text.splitlines() if "dot_general" in line]
    assert len(lines) == 16
    assert all("tensor<8x12x12x64xf32>, tensor<64x64xf32>" in line for line in lines)
