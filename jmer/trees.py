"""Pytrees with a leading task axis."""

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")


def stack(trees: Sequence[T]) -> T:
    """One tree whose leaves have the trees' leaves along a new first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def take(tree: T, index: Any) -> T:
    """The rows `index` of every leaf."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


def shapes(tree: Any, rows: int) -> Any:
    """The shapes of a tree of that many rows."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((rows, *leaf.shape[1:]), leaf.dtype), tree
    )


def size(tree: Any) -> int:
    """Bytes of all leaves, arrays or their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def path_name(path: jax.tree_util.KeyPath) -> str:
    """The names on the way to a leaf, with dots between them."""
    # Flax variables are nodes with one child, `value`, which says nothing.
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return name.removesuffix(".value")


def select(condition: jax.Array | np.ndarray, chosen: T, other: T) -> T:
    """`chosen` where the scalar `condition` holds, else `other`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), chosen, other)
