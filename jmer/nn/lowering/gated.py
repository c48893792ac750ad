"""What gates look at and multiply by, as products, for TPUs.

A TPU's compiler gives a mean or a maximum over channels a lane of 128 for every value,
and a convolution of two channels 128 lanes for each of them. Products have none of
that: one with the identity hands its values on to a reduction as they come, exactly.

`n` neighbours of a row may share channels in what is pooled or weighed
(`folded.py`), never in weights and in what comes of pooling.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Pads, Sizes

Convolve = Callable[[Array, Array, Sizes, Pads, Sizes], Array]

Pooled = tuple[Array, Array]
"""Means and maxima, in float32."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def over_places(x: Array, n: int = 1) -> Pooled:
    """[b, c] of clips [b, *space, w / n, n * c].

    The first of equal values gets the gradient of the maximum.
    """
    return _over_places(x, n)[0]


def _over_places(x: Array, n: int) -> tuple[Pooled, tuple[Array, Array]]:
    values, places = _product(jnp.eye(x.shape[-1], dtype=x.dtype), x), _places(x)
    largest = values.max(places).T.reshape(len(x), n, -1).max(1)
    mean = values.sum(places).T.reshape(len(x), n, -1).sum(1) / _size(x, n)
    return (mean, largest), (x, largest)


def _from_places(
    n: int, residuals: tuple[Array, Array], gradients: Pooled
) -> tuple[Array]:
    x, largest = residuals
    ones = (1,) * (x.ndim - 2)

    def spread(value: Array) -> Array:
        return jnp.tile(value, n).reshape(len(x), *ones, x.shape[-1])

    # Pixels of a row are told apart by their channels.
    place = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1) // largest.shape[-1]
    step = n
    for axis in range(x.ndim - 2, 0, -1):
        place = place + step * lax.broadcasted_iota(jnp.int32, x.shape, axis)
        step *= x.shape[axis]
    values = jnp.moveaxis(_product(jnp.eye(x.shape[-1], dtype=x.dtype), x), 0, -1)
    first = jnp.where(values == spread(largest), place, step)
    first = first.min(range(1, x.ndim - 1)).reshape(len(x), n, -1).min(1)
    dmean, dmax = gradients
    won = jnp.where(place == spread(first), spread(dmax), 0)
    return ((spread(dmean / _size(x, n)) + won).astype(x.dtype),)


over_places.defvjp(_over_places, _from_places)


def _places(values: Array) -> tuple[int, ...]:
    """Axes of space, of values with channels first."""
    return tuple(range(2, values.ndim))


def _size(x: Array, n: int) -> int:
    return n * math.prod(x.shape[1:-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def over_channels(x: Array, n: int = 1) -> Pooled:
    """[b, *space, w] of clips [b, *space, w / n, n * c].

    The first of equal values gets the gradient of the maximum.
    """
    return _over_channels(x, n)[0]


def _over_channels(x: Array, n: int) -> tuple[Pooled, tuple[Array, list[Array]]]:
    parts = [_product(one, x) for one in _ones(x, n)]
    mean = [part.sum(0) / len(part) for part in parts]
    largest = [part.max(0) for part in parts]
    return (_row(mean), _row(largest)), (x, largest)


def _from_channels(
    n: int, residuals: tuple[Array, list[Array]], gradients: Pooled
) -> tuple[Array]:
    x, largest = residuals
    c = x.shape[-1] // n
    first = []
    for i, (one, value) in enumerate(zip(_ones(x, n), largest, strict=True)):
        part = _product(one, x)
        place = lax.broadcasted_iota(jnp.int32, part.shape, 0)
        first.append(i * c + jnp.where(part == value, place, c).min(0))
    dmean, dmax = (_lanes(_apart(dy, n), x) for dy in gradients)
    lane = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
    dx = dmean / c + jnp.where(lane == _lanes(first, x), dmax, 0)
    return (dx.astype(x.dtype),)


over_channels.defvjp(_over_channels, _from_channels)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def weighed(x: Array, weight: Array, n: int = 1) -> Array:
    """`x` [b, *space, w / n, n * c] times `weight` [b, *space, w], in its own type."""
    return x * _lanes(_apart(weight.astype(x.dtype), n), x)


def _weighed(x: Array, weight: Array, n: int) -> tuple[Array, tuple[Array, Array]]:
    return weighed(x, weight, n), (x, weight)


def _unweighed(
    n: int, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    x, weight = residuals
    ones = jnp.repeat(jnp.eye(n, dtype=x.dtype), x.shape[-1] // n, axis=1)
    dweight = _row(_product(ones, x * dy))
    return weighed(dy, weight, n), dweight.astype(weight.dtype)


weighed.defvjp(_weighed, _unweighed)


def _ones(x: Array, n: int) -> Sequence[Array]:
    """What takes the channels of each of the pixels that share them, in a product."""
    return jnp.split(jnp.eye(x.shape[-1], dtype=x.dtype), n)


def _product(ones: Array, x: Array) -> Array:
    """[k, b, *space] of [k, c] and [b, *space, c]; `x` is taken as it is."""
    return lax.dot_general(
        ones,
        x,
        (((1,), (x.ndim - 1,)), ((), ())),
        precision=None if x.dtype == jnp.bfloat16 else lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )


def _row(parts: Sequence[Array] | Array) -> Array:
    """[..., w] of the values [..., w / n] of pixels that share channels."""
    row = jnp.stack(list(parts), -1)
    return row.reshape(*row.shape[:-2], -1)


def _apart(row: Array, n: int) -> list[Array]:
    """The inverse."""
    parts = row.reshape(*row.shape[:-1], -1, n)
    return [parts[..., i] for i in range(n)]


def _lanes(parts: Sequence[Array], x: Array) -> Array:
    """Values of pixels in all of their channels: they spread to the shape of `x`."""
    lane = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
    made = parts[0][..., None]
    for i, part in enumerate(parts[1:], start=1):
        made = jnp.where(lane < i * (x.shape[-1] // len(parts)), made, part[..., None])
    return made


def rows_convolved(
    planes: tuple[Array, ...], kernel: Array, dtype: DTypeLike, convolve: Convolve
) -> Array:
    """[b, *space] of as many planes [b, *space] as `kernel` [*window, planes, 1] has;
    its sizes are odd, and what lies outside is 0.

    A row is a pixel with as many channels as it is long, and the kernel is a band of a
    matrix: `window[-1] / row` of the products count, but none has a single channel.
    `convolve` is `jmer.nn.conv.conv`.
    """
    width, reach = planes[0].shape[-1], kernel.shape[-3]
    window = kernel.shape[:-3]
    shifts = jnp.stack([jnp.eye(width, k=reach // 2 - i) for i in range(reach)])
    band = jnp.einsum("...kp,kvw->...pvw", kernel[..., 0], shifts.astype(kernel.dtype))
    band = band.reshape(*window, len(planes) * width, width)
    rows = jnp.concatenate(planes, -1).astype(dtype)
    band = band.astype(dtype)
    if not window:
        return rows @ band
    ones, pads = (1,) * len(window), tuple((n // 2, n // 2) for n in window)
    return convolve(rows, band, ones, pads, ones)
