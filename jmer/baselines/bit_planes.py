"""Histograms of binary patterns, counted a bit for each voxel.

Each comparison with a neighbour is a plane of bits, eight frames to a byte, so that
what a processor does to a byte it does to eight voxels. Of every set of planes it is
counted where all of them are set; how often each pattern occurs follows from these
counts by subtraction. All numbers are whole: no device rounds them.
"""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.arrays import Array, Float, Int, Real, typed
from jmer.baselines.grey import starts
from jmer.baselines.lbp import Way, lighter

BITS = 8
MOST = 31
"""Bytes of frames whose set bits a byte counts."""


@typed
def bit_planes(
    volume: Real[Array, "b t h w"], ways: Sequence[Way], margin: tuple[int, int, int]
) -> Real[Array, "p b g h2 w2"]:
    """Of each way from a voxel to a neighbour, whether that is at least as light: bit j
    of byte i is that of frame 8 i + j of those within `margin` (frames, rows, columns).
    Bits after the last frame are 0.
    """
    # Each way is a branch, and what a branch is given is computed before it: left to
    # itself, XLA for processors works out all levels of grey anew in each comparison.
    branches = [_packer(way, margin) for way in ways]
    return lax.map(lambda i: lax.switch(i, branches, volume), jnp.arange(len(ways)))


def _packer(way: Way, margin: tuple[int, int, int]) -> Callable[[Array], Array]:
    def packed(volume: Array) -> Array:
        bits = lighter(volume, way, margin).astype(jnp.uint8)
        b, frames, h, w = bits.shape
        whole = frames // BITS * BITS
        made = [_bytes_of(bits[:, :whole].reshape(b, -1, BITS, h, w))] if whole else []
        if whole < frames:
            made.append(_bytes_of(bits[:, None, whole:]))
        return jnp.concatenate(made, 1)

    return packed


def _bytes_of(bits: Array) -> Array:
    """[b, g, up to 8, h, w], 0 or 1, as bytes [b, g, h, w]."""
    made, *others = (bits[:, :, j] << j for j in range(bits.shape[2]))
    for bit in others:
        made |= bit
    return made


@typed
def pattern_counts(
    groups: Sequence[Real[Array, "_ b g h w"]], frames: int, rows: int, columns: int
) -> list[Int[Array, "_ b {rows} {columns}"]]:
    """How often each pattern occurs in each cell of a grid, of those `frames` that the
    planes have: bit i of a pattern is that of plane i of its group, of two or more."""
    total = jnp.zeros((), jnp.int32)
    for start in range(0, groups[0].shape[2], MOST):
        parts = [planes[:, :, start : start + MOST] for planes in groups]
        known = min(frames - BITS * start, BITS * parts[0].shape[2])
        found = jnp.concatenate([_all_set(part, known) for part in parts])
        total += in_grid(found, rows, columns)
    ends = np.cumsum([2 ** len(planes) for planes in groups])
    sets = jnp.split(total, ends[:-1])
    made = zip(sets, groups, strict=True)
    return [_alone(x, len(planes)) for x, planes in made]


def _all_set(planes: Array, frames: int) -> Array:
    """In how many frames all planes of a set are 1, bytes [set, b, h, w]: bit i of a
    set says that plane i is one of them."""
    valid = np.full((planes.shape[2], 1, 1), 255, np.uint8)
    valid[-1] = (1 << (frames - 1) % BITS + 1) - 1
    first, second, *others = planes
    sets = np.arange(2 ** len(others))[:, None] >> np.arange(len(others)) & 1

    def counted(ignored: jax.Array) -> tuple[Array, ...]:
        both = jnp.broadcast_to(valid, first.shape)
        for plane, free in zip(others, ignored, strict=True):
            both &= plane | free
        found = (both, both & first, both & second, both & first & second)
        return tuple(lax.population_count(x).sum(1, dtype=jnp.uint8) for x in found)

    # With each set of the others, of the first two none, one, the other, both.
    made = lax.map(counted, jnp.asarray(255 * (1 - sets), jnp.uint8))
    return jnp.stack(made, 1).reshape(-1, *made[0].shape[1:])


def in_grid(counts: Array, rows: int, columns: int) -> Array:
    """Sums of bytes over the cells of a grid, int32 [..., rows, columns]."""
    for count, axis in ((rows, -2), (columns, -1)):
        size = counts.shape[axis]
        edges = [*starts(size, count), size]
        parts = [
            lax.slice_in_dim(counts, low, high, axis=axis).astype(jnp.int32).sum(axis)
            for low, high in itertools.pairwise(edges)
        ]
        counts = jnp.stack(parts, axis)
    return counts


def _alone(sets: Array, planes: int) -> Array:
    """How often no planes but those of a set are 1."""
    found = sets.reshape(*(2,) * planes, *sets.shape[1:])
    for axis in range(planes):
        without, with_it = jnp.moveaxis(found, axis, 0)
        found = jnp.stack([without - with_it, with_it], axis)
    return found.reshape(sets.shape)


@typed
def pattern_shares(
    volume: Real[Array, "b t h w"],
    groups: Sequence[Sequence[Way]],
    margin: tuple[int, int, int],
    grid: tuple[int, int],
    bins: Sequence[int] | None = None,
) -> list[Float[Array, "b y x k"]]:
    """How often each pattern of each group of ways occurs in each cell of a grid (rows,
    columns), in parts of the cell's voxels; `bins` is the bin of each pattern, if they
    share some."""
    ways = list(dict.fromkeys(way for group in groups for way in group))
    planes = bit_planes(volume, ways, margin)
    own = [jnp.stack([planes[ways.index(way)] for way in group]) for group in groups]
    found: list[Array] = []
    for counts in pattern_counts(own, volume.shape[1] - 2 * margin[0], *grid):
        if bins is not None:
            few = jnp.zeros((max(bins) + 1, *counts.shape[1:]), counts.dtype)
            counts = few.at[np.array(bins)].add(counts)
        shares = counts.astype(jnp.float32) / counts.sum(0).astype(jnp.float32)
        found.append(jnp.moveaxis(shares, 0, -1))
    return found
