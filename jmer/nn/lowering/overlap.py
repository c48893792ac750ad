"""Max-pooling of windows that overlap, with a gradient that adds up element by element.

The gradient of XLA's own is a scatter on a GPU, from four arrays of places as large as
the result, in no fixed order.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes


def by_axes(x: Array, window: Sizes, strides: Sizes, padding: Pads) -> Array:
    """The largest value in each window of `x` [b, *space, c], one axis at a time: the
    fewest comparisons.

    The last axis goes first: of equal values the first in each row, then the first
    such row, hence the first in row-major order.
    """
    for axis in reversed(range(len(window))):
        one = slice(axis, axis + 1)
        x = _largest(
            x, axis + 1, x.shape[1:-1], *(window[one], strides[one]), padding[one]
        )
    return x


def at_once(x: Array, window: Sizes, strides: Sizes, padding: Pads) -> Array:
    """The same in one pass over memory, for a device that has comparisons to spare."""
    return _largest(x, 1, x.shape[1:-1], window, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4, 5))
def _largest(
    x: Array, axis: int, space: Sizes, window: Sizes, strides: Sizes, padding: Pads
) -> Array:
    """Over windows of some axes, from `axis` on."""
    return functools.reduce(jnp.maximum, _taps(x, axis, window, strides, padding))


def _forward(
    x: Array, axis: int, space: Sizes, window: Sizes, strides: Sizes, padding: Pads
) -> tuple[Array, Array]:
    best, *others = _taps(x, axis, window, strides, padding)
    out = best.shape[axis : axis + len(window)]
    first = first_inside(out, window, strides, padding)
    first = first.reshape(first.shape + (1,) * (best.ndim - axis - len(window)))
    winner = jnp.broadcast_to(jnp.asarray(first, jnp.int8), best.shape)
    for tap, value in enumerate(others, start=1):
        winner = jnp.where(value > best, jnp.int8(tap), winner)
        best = jnp.maximum(best, value)
    return best, winner


def _backward(
    axis: int,
    space: Sizes,
    window: Sizes,
    strides: Sizes,
    padding: Pads,
    winner: Array,
    dy: Array,
) -> tuple[Array]:
    # Elements that lie alike between the starts of windows are in the same places of
    # them: each kind adds up these alone, whole arrays beside one another.
    end = axis + len(window)
    space = space[axis - 1 : end - 1]
    counts = tuple(-(-n // stride) for n, stride in zip(space, strides, strict=True))
    zero = jnp.zeros((), dy.dtype)
    places = list(np.ndindex(*window))
    kinds = []
    for kind in np.ndindex(*strides):
        dx = jnp.zeros((*dy.shape[:axis], *counts, *dy.shape[end:]), dy.dtype)
        for tap, place in enumerate(places):
            behind = [
                divmod(at + low - k, stride)
                for at, k, stride, (low, _) in zip(
                    kind, place, strides, padding, strict=True
                )
            ]
            if any(rest for _, rest in behind):
                continue
            pads = [(0, 0, 0)] * dy.ndim
            for i, (windows, _) in enumerate(behind):
                # Of that many windows before the element's own.
                pads[axis + i] = (-windows, counts[i] + windows - dy.shape[axis + i], 0)
            dx += lax.pad(jnp.where(winner == tap, dy, zero), zero, pads)
        kinds.append(dx)
    return (_mixed(kinds, axis, strides, space),)


def _mixed(kinds: Sequence[Array], axis: int, strides: Sizes, space: Sizes) -> Array:
    """Elements of every kind in their places: the i-th of a kind is `i * strides` from
    its first, along the axes from `axis` on."""
    rank = len(strides)
    x = jnp.stack(kinds, axis)
    x = x.reshape(*x.shape[:axis], *strides, *x.shape[axis + 1 :])
    pairs = ((axis + rank + i, axis + i) for i in range(rank))
    rest = range(axis + 2 * rank, x.ndim)
    x = x.transpose(*range(axis), *itertools.chain(*pairs), *rest)
    before, after = x.shape[:axis], x.shape[axis + 2 * rank :]
    x = x.reshape(
        *before,
        *(math.prod(x.shape[axis + 2 * i :][:2]) for i in range(rank)),
        *after,
    )
    return lax.slice(x, (0,) * x.ndim, (*before, *space, *after))


_largest.defvjp(_forward, _backward)


def first_inside(
    out: Sizes, window: Sizes, strides: Sizes, padding: Pads
) -> np.ndarray:
    """[*out], which place of each window is its first that is no padding: it has the
    gradient where all are -inf, as padding is."""
    first = np.zeros((), int)
    for n, size, stride, (low, _) in zip(out, window, strides, padding, strict=True):
        place = np.clip(low - stride * np.arange(n), 0, size - 1)
        first = first[..., None] * size + place
    return first


def _taps(
    x: Array, axis: int, window: Sizes, strides: Sizes, padding: Pads
) -> list[Array]:
    """The k-th element of every window, for each k."""
    rest = x.ndim - axis - len(window)
    pads = [(low, high, 0) for low, high in padding]
    pads = [(0, 0, 0)] * axis + pads + [(0, 0, 0)] * rest
    x = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), pads)
    space = x.shape[axis : axis + len(window)]
    extents = [
        (n - size) // stride * stride + 1
        for n, size, stride in zip(space, window, strides, strict=True)
    ]
    return [
        lax.slice(
            x,
            (0,) * axis + place + (0,) * rest,
            (
                *x.shape[:axis],
                *(at + extent for at, extent in zip(place, extents, strict=True)),
                *x.shape[x.ndim - rest :],
            ),
            (1,) * axis + strides + (1,) * rest,
        )
        for place in np.ndindex(*window)
    ]
