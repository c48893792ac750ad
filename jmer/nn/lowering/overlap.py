"""Max-pooling of windows that overlap, one axis at a time."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes


def overlapping_max(x: Array, window: Sizes, strides: Sizes, padding: Pads) -> Array:
    """The largest value in each window of `x` [b, *space, c].

    The last axis goes first: of equal values the first in each row, then the first
    such row, hence the first in row-major order.
    """
    for axis in reversed(range(len(window))):
        x = _max_along(
            x, axis + 1, x.shape[axis + 1], window[axis], strides[axis], padding[axis]
        )
    return x


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4, 5))
def _max_along(
    x: Array,
    axis: int,
    size: int,
    window: int,
    stride: int,
    padding: tuple[int, int],
) -> Array:
    return functools.reduce(jnp.maximum, _taps(x, axis, window, stride, padding))


def _forward(
    x: Array,
    axis: int,
    size: int,
    window: int,
    stride: int,
    padding: tuple[int, int],
) -> tuple[Array, Array]:
    best, *others = _taps(x, axis, window, stride, padding)
    winner = jnp.zeros(best.shape, jnp.int8)
    for tap, value in enumerate(others, start=1):
        winner = jnp.where(value > best, jnp.int8(tap), winner)
        best = jnp.maximum(best, value)
    return best, winner


def _backward(
    axis: int,
    size: int,
    window: int,
    stride: int,
    padding: tuple[int, int],
    winner: Array,
    dy: Array,
) -> tuple[Array]:
    low, _ = padding
    extent = (dy.shape[axis] - 1) * stride + 1
    zero = jnp.zeros((), dy.dtype)
    pads = [(0, 0, 0)] * dy.ndim
    dx = []
    for tap in range(window):
        pads[axis] = (tap - low, size - extent - (tap - low), stride - 1)
        dx.append(lax.pad(jnp.where(winner == tap, dy, zero), zero, pads))
    return (sum(dx[1:], dx[0]),)


_max_along.defvjp(_forward, _backward)


def _taps(
    x: Array, axis: int, window: int, stride: int, padding: tuple[int, int]
) -> list[Array]:
    """The k-th element of every window along an axis, for each k."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (*padding, 0)
    x = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), pads)
    extent = (x.shape[axis] - window) // stride * stride + 1
    return [
        lax.slice_in_dim(x, tap, tap + extent, stride, axis) for tap in range(window)
    ]
