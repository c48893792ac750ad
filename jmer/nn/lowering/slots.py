"""Where each value of a convolution goes, if it is pooled right away."""

import dataclasses
import functools
import math

import numpy as np

from jmer.nn.lowering.sizes import Sizes


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Static sizes of a convolution, then a max-pool and a mean over its windows.

    Neither pool's windows overlap. One number for each spatial axis throughout;
    padding is the same on both sides.
    """

    space: Sizes
    inputs: int  # channels
    window: Sizes
    strides: Sizes
    padding: Sizes
    pool: Sizes
    pool_padding: Sizes
    average: Sizes

    @property
    def out(self) -> Sizes:
        """Pixels that the convolution computes."""
        sizes = zip(self.space, self.window, self.strides, self.padding, strict=True)
        return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)

    @property
    def pooled(self) -> Sizes:
        sizes = zip(self.out, self.pool, self.pool_padding, strict=True)
        return tuple((n + 2 * p - k) // k + 1 for n, k, p in sizes)

    @property
    def cells(self) -> Sizes:
        """Pixels that are left after the mean."""
        return tuple(n // a for n, a in zip(self.pooled, self.average, strict=True))


@functools.cache
def slots(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The pixel of each slot of each cell, and whether pooling sees it.

    Row `k * means + a` holds the k-th pixel of the a-th max-pool window of every cell,
    so that pooling is element-wise over rows. Pixels that no window sees fill the
    slots of the pools' padding, then rows of their own, since statistics are over all
    pixels; -1 where there is none. Both arrays are [slots, cells]; the second has the
    pools' rows only.
    """
    g = geometry
    cells = np.array(list(np.ndindex(*g.cells)))
    rows = []
    for k in np.ndindex(*g.pool):
        for a in np.ndindex(*g.average):
            window = cells * g.average + a
            pixel = window * g.pool - np.array(g.pool_padding) + k
            inside = ((pixel >= 0) & (pixel < g.out)).all(-1)
            flat = np.ravel_multi_index(tuple(pixel.T), g.out, mode="clip")
            rows.append(np.where(inside, flat, -1))
    pixels = np.stack(rows)
    seen = pixels >= 0
    unseen = np.setdiff1d(np.arange(math.prod(g.out)), pixels[seen])
    free = (~seen).sum()
    pixels[tuple(np.argwhere(~seen)[: len(unseen)].T)] = unseen[:free]
    rest = unseen[free:]
    more = np.full((-(-len(rest) // len(cells)), len(cells)), -1)
    more.reshape(-1)[: len(rest)] = rest
    return np.concatenate([pixels, more]), seen


@functools.cache
def patch_index(geometry: Geometry) -> np.ndarray:
    """[slots, cells, window * inputs + 1]: where in a flat padded clip to read.

    After the clip come a one, which the bias multiplies, and a zero, for slots without
    a pixel.
    """
    g = geometry
    pixels, _ = slots(g)
    size = [n + 2 * p for n, p in zip(g.space, g.padding, strict=True)]
    one = math.prod(size) * g.inputs
    corner = np.array(np.unravel_index(np.maximum(pixels, 0), g.out))
    corner = np.moveaxis(corner, 0, -1) * g.strides
    taps = [
        np.ravel_multi_index(tuple(np.moveaxis(corner + tap, -1, 0)), size) * g.inputs
        + channel
        for tap in np.ndindex(*g.window)
        for channel in range(g.inputs)
    ]
    index = np.stack([*taps, np.full(pixels.shape, one)], -1)
    index[pixels < 0] = one + 1
    return index.astype(np.int32)
