"""Convolutions with windows of 3 by fewer products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from test_conv import check

from jmer.nn.lowering import patches, winograd

CASES = {
    "rows": ((2, 5, 6, 4), 4, ((1, 1), (1, 1)), (1, 2), 0),
    "rows of four": ((2, 5, 7, 4), 4, ((1, 1), (1, 1)), (1, 4), 0),
    "rows, columns summed": ((2, 5, 7, 4), 3, ((1, 1), (1, 1)), (1, 2), 1),
    "images": ((2, 5, 6, 4), 3, ((1, 1), (1, 1)), (2, 2), 0),
    "images by both": ((2, 5, 6, 4), 3, ((1, 1), (1, 1)), (2, 4), 0),
    "images by fours": ((2, 9, 6, 4), 3, ((1, 1), (1, 1)), (4, 4), 0),
    "without padding": ((2, 6, 5, 4), 3, ((0, 0), (0, 0)), (2, 2), 0),
    "one output": ((1, 3, 3, 2), 3, ((0, 0), (0, 0)), (4, 2), 0),
    "clips": ((2, 4, 5, 6, 4), 3, ((1, 1),) * 3, (2, 1, 2), 0),
    "all axes": ((1, 4, 3, 5, 2), 3, ((1, 1), (2, 0), (0, 1)), (2, 2, 4), 0),
    "frames summed": ((2, 5, 4, 6, 4), 3, ((1, 1),) * 3, (1, 1, 4), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_match_float64(name):
    x, outputs, padding, tiles, summed = CASES[name]
    rank = len(padding)

    def convolve(x, kernel, strides, padding, dilation):
        return winograd.convolve(x, kernel, padding, tiles, summed)

    ones = (1,) * rank
    check(convolve, (x, (3,) * rank + (x[-1], outputs), ones, padding, ones))


@st.composite
def geometries(draw):
    rank = draw(st.integers(1, 3))
    pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
    padding = draw(st.tuples(*[pads] * rank))
    space = tuple(max(1, 3 - sum(p)) + draw(st.integers(0, 6)) for p in padding)
    tiles = draw(st.tuples(*[st.sampled_from([1, 2, 4])] * rank))
    return (2, *space, 3), 2, padding, tiles


@settings(max_examples=10, deadline=None)
@given(geometries())
def test_any_sizes_and_tiles_match_float64(drawn):
    x, outputs, padding, tiles = drawn
    ones = (1,) * len(padding)

    def convolve(x, kernel, strides, padding, dilation):
        return winograd.convolve(x, kernel, padding, tiles)

    check(convolve, (x, (3,) * len(padding) + (3, outputs), ones, padding, ones))


@pytest.mark.parametrize("tile", winograd.SUMS)
def test_sums_are_those_of_a_convolution_to_the_bit(tile):
    """Of polynomials: outputs of every input times every tap, in whole numbers."""
    sums = [np.array(each) for each in winograd.SUMS[tile]]
    inputs, kernel, outputs = (np.round(24 * each) for each in sums)
    found = np.einsum("op,pi,pk->oik", outputs, inputs, kernel) / 24**3
    shifted = np.subtract.outer(np.arange(tile + 2), np.arange(3))
    assert_array_equal(found, shifted == np.arange(tile)[:, None, None])


@pytest.mark.parametrize(
    ("x", "kernel", "sums"),
    [
        ((16, 24, 24, 64), (3, 3, 64, 64), ((2, 2), 0)),
        ((16, 24, 24, 16), (3, 3, 16, 64), ((1, 2), 0)),
        ((8, 14, 14, 32), (3, 3, 32, 32), ((1, 2), 0)),
        ((4, 8, 14, 14, 64), (3, 3, 3, 64, 64), ((2, 1, 2), 0)),
        ((8, 4, 6, 6, 16), (3, 3, 3, 16, 16), ((1, 1, 2), 1)),
        ((8, 8, 14, 14, 16), (3, 3, 3, 16, 16), ((1, 1, 4), 1)),
        ((16, 8, 6, 6, 16), (3, 3, 3, 16, 16), ((2, 1, 2), 0)),
        ((8, 16, 12, 12, 8), (3, 3, 3, 8, 8), ((1, 1, 4), 1)),
        ((8, 16, 12, 14, 8), (3, 3, 3, 8, 8), None),
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
