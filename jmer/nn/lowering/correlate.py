"""Convolution of stride 1 without padding as one matrix product, with both gradients.

Patches repeat an input for each pixel of the window, and the memory they pass through
costs a CPU more than their product. The first axes of a window can be left out of them:
its places along these become columns of the product instead, and what belongs to one
output is added up afterwards. Patches are that much smaller, and the product with their
transpose, the gradient of the kernel, has more columns: it is XLA's slowest product
where those are few.
"""

import functools
import itertools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.kept import kept
from jmer.nn.lowering.sizes import Sizes


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def correlate(x: Array, kernel: Array, summed: int = 0) -> Array:
    """[b, *out, d] of `x` [b, *space, c] and `kernel` [*window, c, d]; the first
    `summed` axes of the window are no part of patches."""
    window = kernel.shape[:-2]
    columns = _patches(x, _within(window, summed)) @ _matrix(kernel, summed)
    if not summed:
        return columns
    return kept(_add_up(columns, window[:summed]))


def _forward(x: Array, kernel: Array, summed: int) -> tuple[Array, tuple[Array, Array]]:
    return correlate(x, kernel, summed), (x, kernel)


def _backward(
    summed: int, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    # Each gradient stands alone, so that the compiler can drop the one nobody asks for.
    # The input's adds up overlaps: patches of `dy` would be many times its size.
    x, kernel = residuals
    window = kernel.shape[:-2]
    dcolumns = _spread(kept(dy), window[:summed]) if summed else dy
    within = _within(window, summed)
    dx = _overlap_add(dcolumns @ _matrix(kernel, summed).T, within)
    rows = _patches(x, within)
    dmatrix = lax.dot_general(
        rows.reshape(-1, rows.shape[-1]),
        dcolumns.reshape(-1, dcolumns.shape[-1]),
        (((0,), (0,)), ((), ())),
    )
    return dx, _kernel(dmatrix, kernel.shape, summed)


correlate.defvjp(_forward, _backward)


def indices(window: Sizes) -> Iterator[Sizes]:
    """Of all pixels of a window, in the kernel's order."""
    return itertools.product(*map(range, window))


def _within(window: Sizes, summed: int) -> Sizes:
    """The part of a window that is in patches."""
    return (1,) * summed + window[summed:]


def _matrix(kernel: Array, summed: int) -> Array:
    """[window of patches * c, window summed * d] of [*window, c, d]."""
    rank = kernel.ndim - 2
    first = range(summed)
    kernel = kernel.transpose(*range(summed, rank + 1), *first, rank + 1)
    return kernel.reshape(math.prod(kernel.shape[: rank + 1 - summed]), -1)


def _kernel(matrix: Array, shape: Sizes, summed: int) -> Array:
    """The transpose of `_matrix`."""
    *window, c, d = shape
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


def _patches(x: Array, window: Sizes) -> Array:
    """[b, *out, window * c]: the inputs of each output, in the kernel's order."""
    if math.prod(window) == 1:
        return x
    out = [n - k + 1 for n, k in zip(x.shape[1:-1], window, strict=True)]
    shifted = [
        x[(slice(None), *(slice(i, i + n) for i, n in zip(tap, out, strict=True)))]
        for tap in indices(window)
    ]
    return jnp.concatenate(shifted, axis=-1)


def _overlap_add(rows: Array, window: Sizes) -> Array:
    """[b, *space, c] of [b, *out, window * c]: the transpose of `_patches`."""
    parts = jnp.split(rows, math.prod(window), axis=-1)
    whole = [
        _placed(part, tap, window)
        for tap, part in zip(indices(window), parts, strict=True)
    ]
    return sum(whole[1:], whole[0])


def _placed(part: Array, tap: Sizes, window: Sizes) -> Array:
    """Among zeros, as far along the axes of `window` as a pixel of it is."""
    pads = [(i, k - 1 - i, 0) for i, k in zip(tap, window, strict=True)]
    others = [(0, 0, 0)] * (part.ndim - 1 - len(window))
    return lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *pads, *others])
