"""Random arrays and comparisons for the tests of layers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose

from jmer.train.checkpoint import flatten


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(actual: Any, expected: Any, rtol: float = 1e-5) -> None:
    """To a share of the largest value, since sums near 0 keep no relative digits."""
    jax.tree.map(
        lambda a, e: assert_allclose(a, e, rtol, rtol * np.abs(e).max(initial=1e-30)),
        actual,
        expected,
    )


def pulled(
    function: Callable[..., jax.Array], *arguments: Any
) -> tuple[jax.Array, tuple[Any, ...]]:
    """The value, and the gradients of a random projection of it, by one program: each
    operation by itself would be one more to compile."""

    @jax.jit
    def both(*arguments: Any) -> tuple[jax.Array, tuple[Any, ...]]:
        value, pull = jax.vjp(function, *arguments)
        return value, pull(jnp.asarray(normal(9, *value.shape), value.dtype))

    found: tuple[jax.Array, tuple[Any, ...]] = both(*arguments)
    return found


def first_of(names: Iterable[Any], first: Any) -> list[Any]:
    """Parameters of a test that takes seconds for each: all but one are slow."""
    assert first in names
    slow = pytest.mark.slow
    return [n if n == first else pytest.param(n, marks=slow) for n in names]


def filled(
    graphdef: nnx.GraphDef[Any],
    params: nnx.State,
    stats: nnx.State,
    flat: Mapping[str, np.ndarray],
) -> tuple[nnx.GraphDef[Any], nnx.State, nnx.State]:
    """A network with the arrays of `flat`: as many, and of the same shapes."""
    tree = {"params": params, "stats": stats}
    template = flatten(tree)
    assert set(template) == set(flat)
    for path, value in template.items():
        assert flat[path].shape == value.shape, path
    leaves = [jnp.asarray(flat[path]) for path in template]
    tree = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return graphdef, tree["params"], tree["stats"]
