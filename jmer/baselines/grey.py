"""Clips as levels of grey, and cells of what was measured in them."""

import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Real, typed


@typed
def grey(clip: Real[Array, "b t h w 3"]) -> Real[Array, "b t h w"]:
    """Levels 0..255 of RGB clips in 0..255 (ITU-R BT.601), rounded to whole ones, so
    that patterns depend on no rounding of a device."""
    if jnp.issubdtype(clip.dtype, jnp.floating):
        clip = jnp.rint(clip)
    red, green, blue = jnp.moveaxis(clip.astype(jnp.uint32), -1, 0)
    thousandths = 299 * red + 587 * green + 114 * blue
    return ((thousandths + 500) // 1000).astype(jnp.uint8)


def starts(size: int, count: int) -> list[int]:
    """Where each of `count` equal cells of `size` places begins."""
    return [i * size // count for i in range(count)]


def cells(size: int, count: int) -> Float[np.ndarray, "{size} {count}"]:
    """Which of `count` equal cells each of `size` places lies in, as ones."""
    of_place = np.searchsorted(starts(size, count), np.arange(size), side="right") - 1
    return np.eye(count, dtype=np.float32)[of_place]


@typed
def in_cells(
    counts: Float[Array, "*b h w"], rows: int, columns: int
) -> Float[Array, "*b {rows} {columns}"]:
    """Sums over the cells of a grid."""
    h, w = counts.shape[-2:]
    down, across = cells(h, rows), cells(w, columns)
    narrow = jnp.matmul(counts, across, precision="highest")
    return jnp.matmul(down.T, narrow, precision="highest")
