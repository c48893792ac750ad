"""Random arrays and comparisons for the tests of layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jmer.train.checkpoint import flatten


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(actual, expected, rtol=1e-5):
    """To a share of the largest value, since sums near 0 keep no relative digits."""
    jax.tree.map(
        lambda a, e: assert_allclose(a, e, rtol, rtol * np.abs(e).max(initial=1e-30)),
        actual,
        expected,
    )


def pulled(function, *arguments):
    """The value, and the gradients of a random projection of it."""
    value, pull = jax.vjp(function, *arguments)
    return value, pull(jnp.asarray(normal(9, *value.shape), value.dtype))


def first_of(names, first):
    """Parameters of a test that takes seconds for each: all but one are slow."""
    assert first in names
    slow = pytest.mark.slow
    return [n if n == first else pytest.param(n, marks=slow) for n in names]


def filled(graphdef, params, stats, flat):
    """A network with the arrays of `flat`: as many, and of the same shapes."""
    tree = {"params": params, "stats": stats}
    template = flatten(tree)
    assert set(template) == set(flat)
    for path, value in template.items():
        assert flat[path].shape == value.shape, path
    leaves = [jnp.asarray(flat[path]) for path in template]
    tree = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return graphdef, tree["params"], tree["stats"]
