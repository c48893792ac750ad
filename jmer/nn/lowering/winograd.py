"""Convolution with windows of 3 by fewer products.

Winograd 1980; Lavin & Gray 2016, Fast algorithms for convolutional neural networks,
section 4. Two neighbouring outputs along an axis see four inputs, and take six products
with a kernel of 3. Four sums of the inputs times four sums of the kernel make do with
four: F(2, 3); four outputs with six instead of twelve: F(4, 3). Along two axes what is
saved multiplies. In float32 that costs a rounding or two, of the largest of the inputs
that are added: one of a million among ones leaves its neighbours few digits, and
numbers beyond 1e37 may overflow.
"""

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.correlate import correlate
from jmer.nn.lowering.kept import kept
from jmer.nn.lowering.sizes import Pads, Sizes

Matrix = tuple[tuple[float, ...], ...]


class Sums(NamedTuple):
    """What is added up, a row for each sum, so that outputs of a convolution along one
    axis are `outputs @ ((inputs @ x) * (kernel @ k))`."""

    inputs: Matrix
    kernel: Matrix
    outputs: Matrix


SUMS: Mapping[int, Sums] = {
    # Points 0, 1, -1 and infinity.
    2: Sums(
        inputs=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        kernel=((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        outputs=((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    # Points 0, 1, -1, 2, -2 and infinity.
    4: Sums(
        inputs=(
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        kernel=(
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        outputs=(
            (1, 1, 1, 1, 1, 0),
            (0, 1, -1, 2, -2, 0),
            (0, 1, 1, 4, 4, 0),
            (0, 1, -1, 8, -8, 1),
        ),
    ),
}
"""By the number of outputs of a block."""
TAPS = 3
FEW, MANY = 8, 16
"""Channels, in and out, from which sums of clips, and of images, are cheap beside the
products."""
LONG = 4  # pixels, or frames, of which few enough outputs lie beyond the end
WORTH = (5e6, 3e7)
"""Multiplications of patches from which what is saved along one axis, and along two,
is worth the longer compiling."""


def plan(
    x: Array, kernel: Array, strides: Sizes, dilation: Sizes
) -> tuple[Sizes, int] | None:
    """The tiles with which `convolve` was fastest, forward and backward, and the axes
    that are summed, on a core with AVX-512 (`experiments/benchmarks/cpu.md`); None
    where products of patches were, or numbers of 16 bits would lose by it."""
    space, (*window, channels, outputs) = x.shape[1:-1], kernel.shape
    rank, one, two = len(window), *WORTH
    if x.dtype.itemsize < 4 or {*window} != {TAPS} or max(*strides, *dilation) > 1:
        return None
    many = math.prod(x.shape[:-1]) * kernel.size
    narrow, wide = sorted((channels, outputs))
    if rank == 1 or many < one or (space[0] if rank == 3 else min(space)) < LONG:
        return None
    if rank == 3 and FEW <= narrow < MANY and wide <= MANY and space[-1] % 4 == 0:
        return (1, 1, 4), 1
    if narrow < MANY:
        return None
    if rank == 3 and wide == MANY and many >= two and -space[-1] % 4 <= space[-1] / 5:
        return (1, 1, 4), 1
    if many < two or (rank == 2 and channels == MANY):
        return (*(1,) * (rank - 1), 2), rank - 2
    return (2, *(1,) * (rank - 2), 2), 0


def convolve(
    x: Array, kernel: Array, padding: Pads, tiles: Sizes, summed: int = 0
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d] of stride 1, in
    this way along the axes of space whose tile is 2 or 4 outputs and not 1, where the
    window has 3; the first `summed` axes are summed afterwards (`correlate`), and are
    none of them."""
    pads, out = [], []
    axes = zip(x.shape[1:-1], kernel.shape, padding, tiles, strict=False)
    for n, k, (low, high), tile in axes:
        length = n + low + high - k + 1
        out.append(length)
        # Whole blocks, the last of which are beyond the outputs.
        more = tile * (-(-length // tile) + 1) - (n + low + high) if tile > 1 else 0
        pads.append((low, high + more, 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    y = _by_sums(x, kernel, tiles, 0, summed)
    return y[(slice(None), *(slice(n) for n in out))]


def _by_sums(x: Array, kernel: Array, tiles: Sizes, axis: int, summed: int) -> Array:
    """Of padded `x`, by sums along the axes from `axis` on."""
    if axis == len(tiles):
        # Of few channels it is cheaper to write sums once than to add up in each patch.
        return correlate(kept(x) if x.shape[-1] <= FEW else x, kernel, summed)
    if tiles[axis] == 1:
        return _by_sums(x, kernel, tiles, axis + 1, summed)
    sums = SUMS[tiles[axis]]
    seen = _weighed(sums.inputs, _of_blocks(x, axis + 1, tiles[axis]))
    taps = _weighed(sums.kernel, jnp.split(kernel, TAPS, axis))
    products = [
        _by_sums(*pair, tiles, axis + 1, summed)
        for pair in zip(seen, taps, strict=True)
    ]
    y = jnp.stack(_weighed(sums.outputs, products), axis + 2)
    return y.reshape(*y.shape[: axis + 1], -1, *y.shape[axis + 3 :])


def _of_blocks(x: Array, axis: int, tile: int) -> list[Array]:
    """The inputs that each block of outputs sees, one place after the other."""
    x = x.reshape(*x.shape[:axis], -1, tile, *x.shape[axis + 1 :])
    blocks = x.shape[axis] - 1

    def place(i: int) -> Array:
        later, within = divmod(i, tile)
        one = lax.index_in_dim(x, within, axis + 1, keepdims=False)
        return lax.slice_in_dim(one, later, later + blocks, axis=axis)

    return [place(i) for i in range(tile + TAPS - 1)]


def _weighed(weights: Matrix, values: Sequence[Array]) -> list[Array]:
    """The sums of `values`, each times its weight, for every row of weights."""
    return [
        functools.reduce(
            operator.add, (_times(w, x) for w, x in zip(row, values, strict=True) if w)
        )
        for row in weights
    ]


def _times(weight: float, x: Array) -> Array:
    if abs(weight) == 1:
        return x if weight > 0 else -x
    return x * jnp.asarray(weight, x.dtype)
