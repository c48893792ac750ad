"""Trees with a leading task axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jmer import trees


def tree(seed):
    rng = np.random.default_rng(seed)
    return {
        "a": rng.normal(size=(2, 3)).astype(np.float32),
        "b": (rng.integers(0, 9, 5, np.int32), np.bool_(seed % 2)),
    }


def assert_equal(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(assert_array_equal, first, second)
    kinds = [[np.asarray(x).dtype for x in jax.tree.leaves(t)] for t in (first, second)]
    assert kinds[0] == kinds[1]


def test_take_undoes_stack():
    alone = [tree(seed) for seed in range(7)]
    together = trees.stack(alone)
    assert together["a"].shape == (7, 2, 3)
    for i, one in enumerate(alone):
        assert_equal(trees.take(together, i), one)
    some = [5, 0, 5]
    assert_equal(
        trees.take(together, np.array(some)), trees.stack([alone[i] for i in some])
    )


def test_stack_refuses_trees_of_other_shapes():
    with pytest.raises(ValueError):
        trees.stack([tree(0), tree(1) | {"a": np.zeros((3, 2))}])


def test_shapes_and_size_need_no_arrays():
    some = {"a": np.zeros((3, 2), np.float32), "b": jax.random.split(jax.random.key(0))}
    grown = trees.shapes(some, 5)
    assert grown["a"].shape == (5, 2) and grown["b"].dtype == some["b"].dtype
    assert trees.size(grown) == 5 * 2 * 4 + 5 * 8


@pytest.mark.parametrize("condition", [True, False])
def test_select_takes_all_of_one_tree(condition):
    chosen, other = tree(0), tree(1)
    expected = chosen if condition else other
    assert_equal(trees.select(jnp.asarray(condition), chosen, other), expected)
    assert_equal(jax.jit(trees.select)(condition, chosen, other), expected)


def test_select_lets_no_value_of_the_other_through():
    nan = jax.tree.map(lambda x: np.full(x.shape, np.nan), {"a": tree(0)["a"]})
    kept = trees.select(jnp.asarray(True), {"a": tree(0)["a"]}, nan)
    assert np.isfinite(kept["a"]).all()
