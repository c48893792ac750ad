"""Products with a transposed left side."""

import jax
import numpy as np
import pytest

from jmer.nn.lowering.transposed import transposed_product

SHAPES = ((7, 3, 5), (40, 72, 8), (9, 1, 4), (9, 4, 1), (6, 5, 5), (1, 30, 2))


def sides(n, left, right, tasks=()):
    rng = np.random.default_rng(0)
    shapes = (*tasks, n, left), (*tasks, n, right)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_product(shape):
    left, right = sides(*shape)
    expected = left.T.astype(np.float64) @ right
    found = jax.jit(transposed_product)(left, right)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_of_tasks_side_by_side(shape):
    left, right = sides(*shape, tasks=(3,))
    expected = left.astype(np.float64).swapaxes(1, 2) @ right
    found = jax.jit(jax.vmap(transposed_product))(left, right)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    shared = jax.vmap(transposed_product, (None, 0))(left[0], right)
    expected = left[0].T.astype(np.float64) @ right
    np.testing.assert_allclose(shared, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("left", "right"), [(144, 32), (32, 144)])
def test_the_wider_side_stays_on_the_right(left, right):
    """XLA for CPUs would turn the sides back for the transpose that follows."""

    def narrow(*two):
        return transposed_product(*two) * 2

    with jax.default_device(jax.devices("cpu")[0]):
        text = jax.jit(narrow).lower(*sides(512, left, right)).compile().as_text()
    assert "f32[32,144]" in next(line for line in text.splitlines() if " dot(" in line)
