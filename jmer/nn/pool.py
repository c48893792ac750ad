"""Pooling with gradients that are cheap on every backend."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.arrays import Array, Float, typed
from jmer.nn.lowering import overlap
from jmer.nn.lowering.choice import current
from jmer.nn.lowering.sizes import Pads, Sizes, require_fit

MAX_SLOTS = 32  # elements of a window; the time to compile grows with their square


@typed
def max_pool(
    x: Float[Array, "b *space c"],
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Sequence[int] | None = None,
) -> Float[Array, "b *out c"]:
    """The largest value in each window; `strides` are the window's unless given.

    Padding never wins, and is at most half a window. As in PyTorch, the first of equal
    values gets the gradient (where all are -inf: of padding, too, as JAX has it by the
    lowerings `backend` and `tpu`).

    Raises: ValueError for sizes that do not go with each other or with the images;
    TypeError for numbers that are not floating.
    """
    size, step, pads = _sizes(x, window, strides, padding)
    if _is_split(size, step):
        return _max_of_slots(x, x.shape[1:-1], size, pads)
    if current() == "patches" and max(size) <= MAX_SLOTS:
        return overlap.by_axes(x, size, step, pads)
    if current() == "gpu" and math.prod(size) <= MAX_SLOTS:
        return overlap.at_once(x, size, step, pads)
    low = -jnp.inf
    return lax.reduce_window(
        x, low, lax.max, (1, *size, 1), (1, *step, 1), ((0, 0), *pads, (0, 0))
    )


@typed
def avg_pool(
    x: Float[Array, "b *space c"],
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Sequence[int] | None = None,
) -> Float[Array, "b *out c"]:
    """The mean of each window, added up in float32; padded zeros count, as in PyTorch's
    default.

    Raises: as `max_pool`.
    """
    size, step, pads = _sizes(x, window, strides, padding)
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if _is_split(size, step):
        slots = _slots(wide, size, pads, fill=0.0)
        total = sum(slots[1:], slots[0])
    else:
        total = lax.reduce_window(
            wide, 0.0, lax.add, (1, *size, 1), (1, *step, 1), ((0, 0), *pads, (0, 0))
        )
    return (total / math.prod(size)).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_along(x: Array, axis: int) -> Array:
    """The largest value along an axis, which becomes 1 long.

    The first of equal values gets the gradient, as above; `jnp.max` divides it.
    """
    return x.max(axis, keepdims=True)


def _max_along_forward(x: Array, axis: int) -> tuple[Array, tuple[Array, Array]]:
    y = max_along(x, axis)
    return y, (x, y)


def _max_along_backward(
    axis: int, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array]:
    x, y = residuals
    place = lax.broadcasted_iota(jnp.int32, x.shape, axis % x.ndim)
    first = jnp.where(x == y, place, x.shape[axis]).min(axis, keepdims=True)
    return (jnp.where(place == first, dy, jnp.zeros_like(dy)),)


max_along.defvjp(_max_along_forward, _max_along_backward)


def _sizes(
    x: Array,
    window: Sequence[int],
    strides: Sequence[int] | None,
    padding: Sequence[int] | None,
) -> tuple[Sizes, Sizes, Pads]:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{x.dtype} values cannot be pooled: make them float32")
    size, more = tuple(window), tuple(padding or (0,) * (x.ndim - 2))
    step, pads = tuple(strides or size), tuple((n, n) for n in more)
    require_fit(x.shape[1:-1], size, step, pads)
    if min(more) < 0:
        raise ValueError(f"{padding=} needs numbers from 0")
    if any(2 * n > k for n, k in zip(more, size, strict=True)):
        raise ValueError(f"{padding=} is more than half of {window=}")
    return size, step, pads


def _is_split(size: Sizes, step: Sizes) -> bool:
    """Whether the windows are few slots that do not overlap, to take apart."""
    return step == size and math.prod(size) <= MAX_SLOTS


def _layout(
    space: Sizes, window: Sizes, padding: Pads
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """The padding to whole windows, and the shape that tells them apart.

    Rows beyond the last whole window are dropped, as PyTorch does.
    """
    out = [
        (n + sum(p) - w) // w + 1
        for n, w, p in zip(space, window, padding, strict=True)
    ]
    pads = [
        (low, o * w - n - low, 0)
        for n, w, o, (low, _) in zip(space, window, out, padding, strict=True)
    ]
    return pads, [size for pair in zip(out, window, strict=True) for size in pair]


def _slots(x: Array, window: Sizes, padding: Pads, fill: float) -> list[Array]:
    """The k-th element of every window, for each k: [b, *out, c] each.

    Windows that do not overlap make pooling element-wise over these, forward and
    backward, where `reduce_window` has a slow scatter for a gradient.
    """
    pads, split = _layout(x.shape[1:-1], window, padding)
    x = lax.pad(x, jnp.asarray(fill, x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    x = x.reshape(x.shape[0], *split, x.shape[-1])
    return [
        x[(slice(None), *(i for o in k for i in (slice(None), o)))]
        for k in np.ndindex(*window)
    ]


def unslot(
    slots: Sequence[Array],
    space: Sizes,
    window: Sizes,
    padding: Pads | None = None,
) -> Array:
    """[b, *space, c] with the k-th of `slots` [b, *out, c] at place k of each window.

    What no window covers is 0. The transpose of taking the windows apart.
    """
    padding = padding or ((0, 0),) * len(window)
    pads, _ = _layout(space, window, padding)
    b, *out, c = slots[0].shape
    rank = len(window)
    x = jnp.stack(slots).reshape(*window, b, *out, c)
    order = [rank, *(a for i in range(rank) for a in (rank + 1 + i, i)), 2 * rank + 1]
    x = x.transpose(order).reshape(
        b, *(o * w for o, w in zip(out, window, strict=True)), c
    )
    crop = [(-low, -high, 0) for low, high, _ in pads]
    return lax.pad(x, jnp.asarray(0, x.dtype), [(0, 0, 0), *crop, (0, 0, 0)])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_of_slots(x: Array, space: Sizes, window: Sizes, padding: Pads) -> Array:
    return functools.reduce(jnp.maximum, _slots(x, window, padding, -jnp.inf))


def _forward(
    x: Array, space: Sizes, window: Sizes, padding: Pads
) -> tuple[Array, Array]:
    slots = _slots(x, window, padding, -jnp.inf)
    best = slots[0]
    first = overlap.first_inside(best.shape[1:-1], window, window, padding)
    winner = jnp.broadcast_to(jnp.asarray(first[..., None], jnp.int8), best.shape)
    for k, slot in enumerate(slots[1:], start=1):
        winner = jnp.where(slot > best, jnp.int8(k), winner)
        best = jnp.maximum(best, slot)
    return best, winner


def _backward(
    space: Sizes, window: Sizes, padding: Pads, winner: Array, dy: Array
) -> tuple[Array]:
    slots = [
        jnp.where(winner == k, dy, jnp.zeros_like(dy)) for k in range(math.prod(window))
    ]
    return (unslot(slots, space, window, padding),)


_max_of_slots.defvjp(_forward, _backward)
