"""Histograms of directions, in cells of an image."""

import math

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float, Int, typed
from jmer.baselines.grey import in_cells

TURN = 2 * math.pi
NEAR = 1e-5  # radians
LEAST = 1e-12
"""Sums below this are those of nothing."""


@typed
def direction_bins(
    x: Float[Array, "*b"], y: Float[Array, "*b"], count: int, span: float = TURN
) -> Int[Array, "*b"]:
    """Which of `count` equal bins of `span` radians a direction lies in, from that of
    `x` on towards `y`; directions that are `span` apart are the same.

    Straight ways lie on the border of two bins: they belong to the second one, and
    rounding has no say.
    """
    share = jnp.mod(jnp.arctan2(y, x) + NEAR, span) / span
    return jnp.minimum((share * count).astype(jnp.int32), count - 1)


@typed
def weighted_histograms(
    bins: Int[Array, "b h w"],
    weight: Float[Array, "b h w"],
    count: int,
    rows: int,
    columns: int,
) -> Float[Array, "b {rows} {columns} {count}"]:
    """The sum of weights in each bin, in each cell of a grid."""
    bins, weight = lax.optimization_barrier((bins, weight))
    each = jnp.arange(count)
    hits = lax.map(lambda k: jnp.where(bins == k, weight, 0), each)
    return jnp.moveaxis(in_cells(hits, rows, columns), 0, -1)


@typed
def shares(histogram: Float[Array, "*b k"]) -> Float[Array, "*b k"]:
    """A histogram in parts of its sum; zeros where it has none."""
    total = histogram.sum(-1, keepdims=True)
    return jnp.where(total > LEAST, histogram / jnp.maximum(total, LEAST), 0)
