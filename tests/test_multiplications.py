"""Multiplications of traced programs, beside counts by hand and a compiler's."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jmer.train.multiplications import multiplications


def many(function, *shapes):
    traced = jax.make_jaxpr(function)(*(jnp.zeros(shape) for shape in shapes))
    return sum(one.many for one in multiplications(traced.jaxpr))


def convolve(stride=1, padding="SAME", **options):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lambda x, k: lax.conv_general_dilated(
        x, k, (stride, stride), padding, dimension_numbers=numbers, **options
    )


def test_a_loop_counts_as_often_as_it_turns():
    def turned(x):
        return lax.fori_loop(0, 5, lambda i, x: x @ x, x)

    assert many(turned, (3, 3)) == 5 * 27
    assert many(lambda x: lax.map(turned, x), (4, 3, 3)) == 4 * 5 * 27


def test_alternatives_count_once():
    def either(x):
        return lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    assert many(either, (3, 3)) == 2 * 27


def test_zeros_around_an_image_are_not_counted():
    """A tap of 3 beside the edge of 5 falls outside in one of five places."""
    assert many(convolve(), (2, 5, 5, 3), (3, 3, 3, 4)) == 2 * 3 * 4 * 13 * 13
    assert many(convolve(padding="VALID"), (2, 5, 5, 3), (3, 3, 3, 4)) == 24 * 81


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [6, 7])
def test_gradients_need_what_the_way_there_needs(stride, size):
    """Each product forward is one of the gradient of the image, and one of the
    kernel's."""
    shapes = ((2, size, size, 3), (3, 3, 3, 5))
    forward = convolve(stride)

    def total(x, k):
        return forward(x, k).sum()

    both = many(jax.grad(total, argnums=(0, 1)), *shapes)
    assert both in (2 * many(forward, *shapes), 3 * many(forward, *shapes))


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"padding": ((2, 0), (0, 3))},
        {"padding": ((-1, 2), (1, 1))},
        {"lhs_dilation": (2, 3), "padding": ((2, 0), (0, 3))},
        {"rhs_dilation": (2, 1)},
        {"stride": 2, "rhs_dilation": (1, 2), "feature_group_count": 3},
    ],
)
def test_as_a_compiler_counts(options):
    groups = options.get("feature_group_count", 1)
    shapes = ((2, 9, 8, 6), (3, 3, 6 // groups, 9))
    function = convolve(**options)
    compiled = jax.jit(function).lower(*(jnp.zeros(s) for s in shapes))
    assert 2 * many(function, *shapes) == compiled.cost_analysis()["flops"]
