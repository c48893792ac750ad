"""Whether gradients are finite: one number that a few kernels find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine import make_program, table_of, tasks_of
from hypothesis import given
from hypothesis import strategies as st

from jmer import trees
from jmer.train import squares, step
from jmer.train.squares import sum_of_squares
from jmer.train.step import Data

# Small ones, which are one sum, and large ones, of which some of a shape are.
SHAPES = [(), (3,), (70, 3), *[(5, 40)] * 5, *[(40, 5)] * 2, (201,)]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(squares, "SMALL", 199)


def gradients():
    draw = np.random.default_rng(0)
    return [draw.normal(size=shape).astype(np.float32) for shape in SHAPES]


@pytest.mark.parametrize("together", [1, 2, 16])
def test_it_is_the_sum_of_all_squares(together):
    arrays = gradients()
    expected = sum((array.astype(np.float64) ** 2).sum() for array in arrays)
    np.testing.assert_allclose(sum_of_squares(arrays, together), expected, rtol=1e-6)
    assert sum_of_squares([], together) == 0


@given(
    where=st.integers(0, len(SHAPES) - 1),
    place=st.floats(0, 1, exclude_max=True),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    together=st.sampled_from([1, 2, 16]),
)
def test_one_number_anywhere_is_found(where, place, value, together):
    arrays = gradients()
    flat = arrays[where].reshape(-1)
    flat[int(place * flat.size)] = value
    arrays[where] = flat.reshape(SHAPES[where])
    assert not np.isfinite(jax.jit(sum_of_squares, static_argnums=1)(arrays, together))


@pytest.mark.parametrize(("together", "alike"), [(1, 5 + 2), (2, 3 + 1), (16, 1 + 1)])
def test_arrays_of_a_shape_are_read_together(together, alike):
    """The small ones are one sum, and two are alone in their shapes."""
    arrays = [jnp.asarray(array) for array in gradients()]
    traced = jax.make_jaxpr(sum_of_squares, static_argnums=1)(arrays, together)
    assert str(traced).count("reduce_sum") == 1 + 2 + alike


@pytest.mark.parametrize("lowering", ["gpu", "tpu", "backend", "patches"])
def test_a_gpu_reads_them_together(lowering, clips, monkeypatch):
    asked = []

    def seen(grads, together):
        asked.append(together)
        return sum_of_squares(grads, together)

    monkeypatch.setattr(step, "sum_of_squares", seen)
    program = make_program(clips, lowering=lowering)
    tasks = tasks_of(clips)[:2]
    data = Data.of(clips.inputs, clips.label)
    program.lowered(trees.shapes(table_of(program, clips, tasks), 2), data)
    assert set(asked) == {16 if lowering == "gpu" else 1}
