"""Local binary patterns of volumes, in any plane of space and time."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.arrays import Array, Float, Real, typed
from jmer.baselines.grey import in_cells

Way = tuple[float, float, float]
"""From a voxel to a neighbour: frames, rows, columns."""
MOST = 255  # that a byte holds
TIE = 1e-3
"""Levels of grey that rounding may take from a neighbour between pixels."""


def plane_ways(plane: str, points: int, radii: tuple[int, int, int]) -> list[Way]:
    """Where the neighbours of a voxel lie in a plane, `points` of them on an ellipse;
    `radii` along x, y and t. In XY, the order of scikit-image: from the right on,
    anticlockwise.
    """
    rx, ry, rt = radii
    ways: list[Way] = []
    for p in range(points):
        turn = 2 * math.pi * p / points
        # Whole places stay whole.
        cos, sin = round(math.cos(turn), 12), round(math.sin(turn), 12)
        ways.append(
            {
                "XY": (0.0, -ry * sin, rx * cos),
                "XT": (rt * sin, 0.0, rx * cos),
                "YT": (rt * cos, -ry * sin, 0.0),
            }[plane]
        )
    return ways


@typed
def codes(
    volume: Real[Array, "b t h w"], ways: Sequence[Way], margin: tuple[int, int, int]
) -> Real[Array, "b t2 h2 w2"]:
    """The pattern of each voxel that has `margin` (frames, rows, columns) around it:
    bit p says that the neighbour at `ways[p]` is at least as light.

    Neighbours between pixels are interpolated linearly. At most 8 of them.
    """
    volume = lax.optimization_barrier(volume)
    bits = (lighter(volume, way, margin).astype(jnp.uint8) for way in ways)
    made, *others = (bit << p for p, bit in enumerate(bits))
    for bit in others:
        made |= bit
    return made


def lighter(volume: Array, way: Way, margin: tuple[int, int, int]) -> Array:
    """Whether the neighbour of each voxel within the margin is at least as light."""
    centre = _moved(volume, (0, 0, 0), margin)
    if all(step == int(step) for step in way):
        return _moved(volume, tuple(map(int, way)), margin) >= centre
    return _between(volume, way, margin) >= centre.astype(jnp.float32) - TIE


def _moved(volume: Array, way: Sequence[int], margin: Sequence[int]) -> Array:
    """The voxels within the margin, each replaced by its neighbour."""
    places = zip(volume.shape[1:], way, margin, strict=True)
    inner = [slice(m + step, size - m + step) for size, step, m in places]
    return volume[:, *inner]


def _between(volume: Array, way: Way, margin: Sequence[int]) -> Array:
    """The same at a place between voxels, float32."""
    total = jnp.zeros(())
    for corner in np.ndindex(2, 2, 2):
        share, whole = 1.0, []
        for step, up in zip(way, corner, strict=True):
            low = math.floor(step)
            share *= (step - low) if up else 1 - (step - low)
            whole.append(low + up)
        if share:
            at = _moved(volume, whole, margin)
            total = total + share * at.astype(jnp.float32)
    return total


def uniform_bins(points: int) -> list[int]:
    """The bin of each pattern where those with more than two changes along the circle
    share the last one (Ojala et al. 2002)."""
    bins, few = [], 0
    for code in range(2**points):
        turned = (code >> 1) | ((code & 1) << (points - 1))
        if (code ^ turned).bit_count() <= 2:
            bins.append(few)
            few += 1
        else:
            bins.append(-1)
    return [few if b < 0 else b for b in bins]


@typed
def histograms(
    patterns: Real[Array, "b t h w"], bins: Sequence[int], rows: int, columns: int
) -> Float[Array, "b {rows} {columns} k"]:
    """How often each bin occurs in each cell of a grid over all frames, in parts of
    the cell's voxels; `bins` is the bin of each pattern."""
    table = np.array(bins, np.uint8)
    if not np.array_equal(table, np.arange(len(table))):
        patterns = jnp.asarray(table)[patterns]
    # Or each bin would work out all patterns anew.
    patterns = lax.optimization_barrier(patterns)
    counts = _counted(patterns, int(table.max()) + 1)
    made = in_cells(counts, rows, columns)
    return jnp.moveaxis(made / made.sum(0), 0, -1)


def _counted(patterns: Array, bins: int) -> Array:
    """How often each bin occurs over time at each place, float32 [bin, b, h, w].

    Counted in bytes as far as they go, of which a processor adds many at once.
    """
    total = jnp.zeros(())
    for start in range(0, patterns.shape[1], MOST):
        part = jnp.moveaxis(patterns[:, start : start + MOST], 1, 0)
        total = total + _in_bytes(part, bins).astype(jnp.float32)
    return total


def _in_bytes(frames: Array, bins: int) -> Array:
    """The same of at most `MOST` frames, which come first, in bytes."""
    each = jnp.arange(bins, dtype=jnp.uint8)[:, None, None, None]

    def add(counts: jax.Array, frame: jax.Array) -> tuple[jax.Array, None]:
        return counts + (frame == each).astype(jnp.uint8), None

    start = jnp.zeros((bins, *frames.shape[1:]), jnp.uint8)
    return lax.scan(add, start, jnp.asarray(frames))[0]
