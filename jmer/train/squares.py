"""Whether gradients are finite: one number of all, in few kernels."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.nn.lowering.choice import Lowering

SMALL = 2**14
"""Values of a gradient that are not worth a kernel of their own."""
TOGETHER: Mapping[Lowering, int] = {"gpu": 16}
"""Larger gradients of a shape that one kernel of a GPU reads. A TPU's compiler sums the
squares where it makes them, and took 1 % more of AMAN's step for such groups."""


def sum_of_squares(grads: Any, together: int) -> Float[Array, ""]:
    """The sum of the squares of a tree of gradients: finite where all of them are. Many
    small arrays are one sum, and `together` large ones of a shape: each by itself would
    be a kernel of its own."""
    leaves = jax.tree.leaves(grads)
    small = [leaf.ravel() for leaf in leaves if leaf.size <= SMALL]
    large = [leaf for leaf in leaves if leaf.size > SMALL]
    if small:
        large.append(jnp.concatenate(small))
    sums = (
        jnp.sum(functools.reduce(jnp.add, (leaf**2 for leaf in some)))
        for some in _alike(large, together)
    )
    return sum(sums, jnp.zeros(()))


def _alike(leaves: Sequence[Array], most: int) -> Iterator[list[Array]]:
    """Arrays of a shape, so many at most, in the order of the first of each shape; one
    by one all of them, in their order."""
    if most == 1:
        yield from ([leaf] for leaf in leaves)
        return
    of_shape: dict[tuple[int, ...], list[Array]] = {}
    for leaf in leaves:
        of_shape.setdefault(leaf.shape, []).append(leaf)
    for some in of_shape.values():
        yield from (some[start : start + most] for start in range(0, len(some), most))
