"""Whether gradients are finite: one number that a few kernels find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmer.train import step
from jmer.train.step import _squares

# Small ones, which are one sum, and large ones, of which some of a shape are.
SHAPES = [(), (3,), (70, 3), *[(5, 40)] * 5, *[(40, 5)] * 2, (201,)]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(step, "SMALL", 199)
    monkeypatch.setattr(step, "TOGETHER", 2)


def gradients():
    draw = np.random.default_rng(0)
    return [draw.normal(size=shape).astype(np.float32) for shape in SHAPES]


def test_it_is_the_sum_of_all_squares():
    arrays = gradients()
    expected = sum((array.astype(np.float64) ** 2).sum() for array in arrays)
    np.testing.assert_allclose(_squares(arrays), expected, rtol=1e-6)
    assert _squares([]) == 0


@given(
    where=st.integers(0, len(SHAPES) - 1),
    place=st.floats(0, 1, exclude_max=True),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_one_number_anywhere_is_found(where, place, value):
    arrays = gradients()
    flat = arrays[where].reshape(-1)
    flat[int(place * flat.size)] = value
    arrays[where] = flat.reshape(SHAPES[where])
    assert not np.isfinite(jax.jit(_squares)(arrays))


def test_arrays_of_a_shape_are_read_together():
    """The small ones are one sum; of the five, pairs and what is left are."""
    text = str(jax.make_jaxpr(_squares)([jnp.asarray(array) for array in gradients()]))
    small, alone, five, pair = 1, 2, 3, 1
    assert text.count("reduce_sum") == small + alone + five + pair
