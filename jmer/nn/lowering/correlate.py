"""Convolution of stride 1 without padding as one matrix product, with both gradients.

Patches repeat an input for each pixel of the window, and the memory they pass through
costs a CPU more than their product. The first axes of a window can be left out of them:
its places along these become columns of the product instead, and what belongs to one
output is added up afterwards. Patches are that much smaller, and the product with their
transpose, the gradient of the kernel, has more columns: it is XLA's slowest product
where those are few.

Where the pixels of `x` are blocks of an image's, a window can end within its last block
(`Ends`): what lies beyond is in no patch, and is not multiplied with zeros.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.kept import kept
from jmer.nn.lowering.sizes import Sizes
from jmer.nn.lowering.transposed import transposed_product


class Ends(NamedTuple):
    """Where windows end within blocks."""

    block: Sizes
    """Values of a pixel of `x`: its features are [*block, channels]."""
    last: Sizes
    """So many of them, along each axis, that the last pixel of a window sees."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def correlate(
    x: Array, kernel: Array, summed: int = 0, ends: Ends | None = None
) -> Array:
    """[b, *out, d] of `x` [b, *space, c] and `kernel` [*window, c, d]; the first
    `summed` axes of the window are no part of patches, and what the kernel has beyond
    `ends` is zero."""
    window = kernel.shape[:-2]
    columns = patches_of(x, _within(window, summed), ends) @ _matrix(
        kernel, summed, ends
    )
    if not summed:
        return columns
    return kept(_add_up(columns, window[:summed]))


def _forward(
    x: Array, kernel: Array, summed: int, ends: Ends | None
) -> tuple[Array, tuple[Array, Array]]:
    return correlate(x, kernel, summed, ends), (x, kernel)


def _backward(
    summed: int, ends: Ends | None, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    # Each gradient stands alone, so that the compiler can drop the one nobody asks for.
    # The input's adds up overlaps: patches of `dy` would be many times its size.
    x, kernel = residuals
    window = kernel.shape[:-2]
    dcolumns = _spread(kept(dy), window[:summed]) if summed else dy
    within = _within(window, summed)
    drows = dcolumns @ _matrix(kernel, summed, ends).T
    rows = patches_of(x, within, ends)
    dmatrix = transposed_product(
        rows.reshape(-1, rows.shape[-1]), dcolumns.reshape(-1, dcolumns.shape[-1])
    )
    dx = _overlap_add(drows, within, x.shape[-1], ends)
    return dx, _kernel(dmatrix, kernel.shape, summed, ends)


correlate.defvjp(_forward, _backward)


def indices(window: Sizes) -> Iterator[Sizes]:
    """Of all pixels of a window, in the kernel's order."""
    return itertools.product(*map(range, window))


def _within(window: Sizes, summed: int) -> Sizes:
    """The part of a window that is in patches."""
    return (1,) * summed + window[summed:]


def _matrix(kernel: Array, summed: int, ends: Ends | None) -> Array:
    """[window of patches * c, window summed * d] of [*window, c, d]."""
    *window, c, _ = kernel.shape
    rank = len(window)
    kernel = kernel.transpose(*range(summed, rank + 1), *range(summed), rank + 1)
    within = _within(tuple(window), summed)
    rows = kernel.reshape(math.prod(within) * c, -1)
    if ends is None:
        return rows
    blocks = jnp.split(rows.T, math.prod(within), axis=-1)
    taps = indices(within)
    seen = [_seen(x, tap, within, ends) for x, tap in zip(blocks, taps, strict=True)]
    return jnp.concatenate(seen, axis=-1).T


def _kernel(matrix: Array, shape: Sizes, summed: int, ends: Ends | None) -> Array:
    """The transpose of `_matrix`."""
    *window, c, d = shape
    if ends is not None:
        blocks = _split(matrix.T, _within(tuple(window), summed), c, ends)
        matrix = jnp.concatenate(blocks, axis=-1).T
    rest = len(window) + 1 - summed
    kernel = matrix.reshape(*window[summed:], c, *window[:summed], d)
    return kernel.transpose(*range(rest, rest + summed), *range(rest), rest + summed)


def _add_up(columns: Array, window: Sizes) -> Array:
    """[b, *out, d] of [b, *space, window * d]: what each place of a window adds to the
    output that it is a part of."""
    out = [n - k + 1 for n, k in zip(columns.shape[1:], window, strict=False)]
    parts = jnp.split(columns, math.prod(window), axis=-1)
    shifted = [
        part[(slice(None), *(slice(i, i + n) for i, n in zip(tap, out, strict=True)))]
        for tap, part in zip(indices(window), parts, strict=True)
    ]
    return sum(shifted[1:], shifted[0])


def _spread(dy: Array, window: Sizes) -> Array:
    """The transpose of `_add_up`."""
    return jnp.concatenate(
        [_placed(dy, tap, window) for tap in indices(window)], axis=-1
    )


def patches_of(x: Array, window: Sizes, ends: Ends | None = None) -> Array:
    """[b, *out, window * c]: the inputs of each output of a window over `x`
    [b, *space, c], in the kernel's order."""
    if math.prod(window) == 1:
        return _seen(x, (0,) * len(window), window, ends)
    out = [n - k + 1 for n, k in zip(x.shape[1:-1], window, strict=True)]
    shifted = [
        _seen(
            x[(slice(None), *(slice(i, i + n) for i, n in zip(tap, out, strict=True)))],
            *(tap, window, ends),
        )
        for tap in indices(window)
    ]
    return jnp.concatenate(shifted, axis=-1)


def _overlap_add(rows: Array, window: Sizes, c: int, ends: Ends | None) -> Array:
    """[b, *space, c] of [b, *out, window * c]: the transpose of `patches_of`."""
    parts = _split(rows, window, c, ends)
    whole = [
        _placed(part, tap, window)
        for tap, part in zip(indices(window), parts, strict=True)
    ]
    return sum(whole[1:], whole[0])


def _used(tap: Sizes, window: Sizes, ends: Ends) -> Sizes:
    """Of a block, along each axis, what a pixel of the window sees."""
    places = zip(tap, window, *ends, strict=True)
    return tuple(last if i == k - 1 else n for i, k, n, last in places)


def _seen(part: Array, tap: Sizes, window: Sizes, ends: Ends | None) -> Array:
    """Of the features of blocks [..., c] those that a pixel of the window sees."""
    if ends is None or _used(tap, window, ends) == ends.block:
        return part
    *rest, c = part.shape
    part = part.reshape(*rest, *ends.block, c // math.prod(ends.block))
    sizes = (*part.shape[: len(rest)], *_used(tap, window, ends), part.shape[-1])
    return lax.slice(part, (0,) * part.ndim, sizes).reshape(*rest, -1)


def _unseen(part: Array, tap: Sizes, window: Sizes, c: int, ends: Ends) -> Array:
    """The transpose of `_seen`: zeros where nothing was seen."""
    used = _used(tap, window, ends)
    if used == ends.block:
        return part
    rest = part.shape[:-1]
    part = part.reshape(*rest, *used, c // math.prod(ends.block))
    pads = [(0, n - m, 0) for n, m in zip(ends.block, used, strict=True)]
    zero = jnp.zeros((), part.dtype)
    part = lax.pad(part, zero, [*[(0, 0, 0)] * len(rest), *pads, (0, 0, 0)])
    return part.reshape(*rest, c)


def _split(rows: Array, window: Sizes, c: int, ends: Ends | None) -> Sequence[Array]:
    """[..., c] for each pixel of the window, of what they see side by side."""
    if ends is None:
        return jnp.split(rows, math.prod(window), axis=-1)
    channels = c // math.prod(ends.block)
    sizes = [math.prod(_used(tap, window, ends)) * channels for tap in indices(window)]
    parts = jnp.split(rows, list(itertools.accumulate(sizes))[:-1], axis=-1)
    return [
        _unseen(part, tap, window, c, ends)
        for tap, part in zip(indices(window), parts, strict=True)
    ]


def _placed(part: Array, tap: Sizes, window: Sizes) -> Array:
    """Among zeros, as far along the axes of `window` as a pixel of it is."""
    pads = [(i, k - 1 - i, 0) for i, k in zip(tap, window, strict=True)]
    others = [(0, 0, 0)] * (part.ndim - 1 - len(window))
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *pads, *others])
