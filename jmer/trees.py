"""Pytrees with a leading task axis."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def stack(trees: Sequence[Any]) -> Any:
    """One tree whose leaves have the trees' leaves along a new first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def take(tree: Any, index: Any) -> Any:
    """The rows `index` of every leaf."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def pad(tree: Any, size: int) -> Any:
    """Every leaf lengthened to `size` rows by repeating its last one."""

    def grow(leaf):
        missing = size - leaf.shape[0]
        return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], missing, axis=0)])

    return jax.tree.map(grow, tree)


def select(condition: jax.Array, chosen: Any, other: Any) -> Any:
    """`chosen` where the scalar `condition` holds, else `other`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), chosen, other)
