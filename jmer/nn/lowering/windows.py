"""Convolution, ReLU, statistics and pooling as products of windows, for accelerators.

All outputs of a max-pool window are one product of the inputs that they see with the
kernel in each of its places: five by five pixels instead of nine times three by three.
The windows of all clips are the last axis, and tasks and channels the one before, so
that a chip's lanes are full whatever the number of tasks; pooling is element-wise over
the kernel's places. The outputs are kept for the gradient.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, Int
from jmer.nn.lowering.fused import Operands, Sums, over_tasks
from jmer.nn.lowering.sizes import Sizes
from jmer.nn.lowering.slots import Geometry, slots


class Piece(NamedTuple):
    """What the gradients need of one place of the mean; `w` is all windows of it."""

    outputs: Float[Array, "t place d w"]
    winners: Int[Array, "t d w"]
    """The place that each window took, or as many as there are if it is dropped."""


class Saved(NamedTuple):
    """What the gradients need beside the clips."""

    kernel: Float[Array, "t *window c d"]
    pivot: Float[Array, "t d"]
    sign: Float[Array, "t d"]
    weight: Float[Array, "t b"]
    pieces: tuple[Piece, ...]
    rest: Float[Array, "t d w"] | None
    """Outputs of the pixels that no window has."""


class Pullback(NamedTuple):
    """All that a gradient is a function of, but for the clips."""

    saved: Saved
    cotangents: Sums


@functools.cache
def pooled_features(
    geometry: Geometry, dtype: DTypeLike
) -> Callable[[Array, Operands], Sums]:
    """The function of that name in `fused`, as another program.

    Outputs of the convolution are kept in `dtype`; sums are float32.
    """
    forward = over_tasks(functools.partial(_forward, geometry, dtype))
    kernel_gradient = over_tasks(functools.partial(_kernel_gradient, geometry, dtype))
    input_gradient = over_tasks(functools.partial(_input_gradient, geometry, dtype))

    @jax.custom_vjp
    def features(x: Array, operands: Operands) -> Sums:
        return forward(x, operands)[0]

    def with_saved(x: Array, operands: Operands) -> tuple[Sums, tuple[Array, Saved]]:
        sums, saved = forward(x, operands)
        return sums, (x, saved)

    def gradient(
        saved: tuple[Array, Saved], cotangents: Sums
    ) -> tuple[Array | None, Operands]:
        x, pullback = saved[0], Pullback(saved[1], cotangents)
        dkernel, dbias = kernel_gradient(x, pullback)
        # Apart, so that the compiler drops it for a first layer.
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        dx = input_gradient(x, pullback) if floating else None
        none: Any = None  # how a custom rule says that there is no gradient
        return dx, Operands(dkernel, dbias, none, none, none, none)

    features.defvjp(with_saved, gradient)
    return features


# --- the inputs of windows


def _extent(geometry: Geometry) -> Sizes:
    """Input pixels that a max-pool window sees along each axis."""
    axes = zip(geometry.pool, geometry.strides, geometry.window, strict=True)
    return tuple((p - 1) * s + k for p, s, k in axes)


def _windows(geometry: Geometry, dtype: DTypeLike, x: Array) -> list[Array]:
    """For each place of the mean, what its windows see: [input + 1, cell * clip].

    The last input is a one, which the bias multiplies.
    """
    g, rank, clips = geometry, len(geometry.space), x.shape[0]
    x = jnp.moveaxis(x, 0, -1).astype(dtype)  # [*space, c, b]
    pads, shape = [], []
    axes = zip(
        *(g.space, g.cells, g.average, g.pool, g.strides, g.padding),
        *(g.pool_padding, _extent(g)),
        strict=True,
    )
    for n, cells, means, pool, stride, pad, pool_pad, extent in axes:
        step = pool * stride
        blocks = cells * means + -(-extent // step) - 1
        low = pad + pool_pad * stride
        pads.append((low, blocks * step - n - low, 0))
        shape += [blocks, step]
    x = lax.pad(x, jnp.zeros((), dtype), [*pads, (0, 0, 0), (0, 0, 0)])
    x = x.reshape(*shape, g.inputs, clips)
    # Windows advance by a block of pixels, and reach into the blocks after it.
    for i, extent in enumerate(_extent(g)):
        count, step = g.cells[i] * g.average[i], g.pool[i] * g.strides[i]
        parts = []
        for block in range(-(-extent // step)):
            part = lax.slice_in_dim(x, block, block + count, axis=2 * i)
            taps = min(step, extent - block * step)
            parts.append(lax.slice_in_dim(part, 0, taps, axis=2 * i + 1))
        x = jnp.concatenate(parts, axis=2 * i + 1)
    # [*(cell, mean, tap), c, b]
    split = [(g.cells[i], g.average[i], _extent(g)[i]) for i in range(rank)]
    x = x.reshape(*itertools.chain(*split), g.inputs, clips)
    order = [3 * i + k for k in (1, 2, 0) for i in range(rank)]
    order = [*order[: 2 * rank], 3 * rank, *order[2 * rank :], 3 * rank + 1]
    x = x.transpose(order).reshape(
        math.prod(g.average), math.prod(_extent(g)) * g.inputs, -1
    )
    one = jnp.ones((1, x.shape[-1]), dtype)
    return [jnp.concatenate([each, one]) for each in x]


def _kernel_places(geometry: Geometry, kernel: Array) -> Array:
    """[place, task * d, input]: the kernels [t, *window, c, d] at each place of a
    max-pool window, among the inputs that it sees."""
    g, rank = geometry, len(geometry.space)
    tasks, channels = kernel.shape[0], kernel.shape[-1]
    for i in range(rank):
        axis = 2 * i + 1
        placed = []
        for place in range(g.pool[i]):
            pads = [(0, 0, 0)] * kernel.ndim
            low = place * g.strides[i]
            pads[axis] = (low, _extent(g)[i] - low - g.window[i], 0)
            placed.append(lax.pad(kernel, jnp.zeros((), kernel.dtype), pads))
        kernel = jnp.stack(placed, axis)  # [t, *(place, input), *window, c, d]
    # [t, *(place, input), c, d] to [*place, t, d, *input, c]
    order = [
        *range(1, 2 * rank + 1, 2),
        *(0, 2 * rank + 2),
        *range(2, 2 * rank + 1, 2),
        2 * rank + 1,
    ]
    return kernel.transpose(order).reshape(math.prod(g.pool), tasks * channels, -1)


@functools.cache
def _valid(geometry: Geometry) -> np.ndarray:
    """[mean, place, cell]: whether there is such an output."""
    _, seen = slots(geometry)
    windows, means = math.prod(geometry.pool), math.prod(geometry.average)
    return seen.reshape(windows, means, -1).swapaxes(0, 1)


@functools.cache
def _rest(geometry: Geometry) -> np.ndarray:
    """[input, pixel]: where in a flat padded clip the outputs look that no window
    has."""
    g = geometry
    pixels, seen = slots(g)
    pooled = pixels[: len(seen)][seen]
    rest = np.setdiff1d(np.arange(math.prod(g.out)), pooled)
    size = [n + 2 * p for n, p in zip(g.space, g.padding, strict=True)]
    corner = np.stack(np.unravel_index(rest, g.out)) * np.array(g.strides)[:, None]
    taps = [
        np.ravel_multi_index(tuple(corner + np.array(tap)[:, None]), size) * g.inputs
        + channel
        for tap in np.ndindex(*g.window)
        for channel in range(g.inputs)
    ]
    return np.stack(taps)


def _rest_inputs(geometry: Geometry, dtype: DTypeLike, x: Array) -> Array | None:
    """[input + 1, pixel * clip] of the pixels that no window has, if there are any."""
    index = _rest(geometry)
    if not index.size:
        return None
    pads = [(0, 0), *((p, p) for p in geometry.padding), (0, 0)]
    flat = jnp.pad(x, pads).reshape(x.shape[0], -1).T
    seen = flat[index.reshape(-1)].astype(dtype).reshape(len(index), -1)
    return jnp.concatenate([seen, jnp.ones((1, seen.shape[1]), dtype)])


# --- forward


class _Lanes:
    """Tasks and channels as one axis, cells and clips as another."""

    def __init__(self, geometry: Geometry, clips: int, like: Array) -> None:
        self.tasks, self.channels = like.shape
        self.clips, self.cells = clips, math.prod(geometry.cells)

    def column(self, value: Array) -> Array:
        """[t, d] as [t * d, 1]."""
        return value.reshape(-1, 1)

    def spread(self, value: Array) -> Array:
        """[t, b, cell, d] as [t * d, cell * b]."""
        value = value.transpose(0, 3, 2, 1)
        return value.reshape(self.tasks * self.channels, -1)

    def gather(self, value: Array) -> Array:
        """The inverse of `spread`."""
        shape = self.tasks, self.channels, self.cells, self.clips
        return value.reshape(shape).transpose(0, 3, 2, 1)

    def counted(self, weight: Array, pixels: int) -> Array:
        """[t, b] as [t * d, pixel * b]: whether an output counts."""
        counted = jnp.tile(weight > 0, (1, pixels))[:, None]
        shape = self.tasks, self.channels, pixels * self.clips
        return jnp.broadcast_to(counted, shape).reshape(-1, shape[-1])

    def by_task(self, value: Array) -> Array:
        """[..., t * d, w] as [t, ..., d, w]."""
        *more, _, w = value.shape
        value = value.reshape(*more, self.tasks, self.channels, w)
        return jnp.moveaxis(value, -3, 0)

    def merged(self, value: Array) -> Array:
        """The inverse of `by_task`."""
        value = jnp.moveaxis(value, 0, -3)
        *more, tasks, channels, w = value.shape
        return value.reshape(*more, tasks * channels, w)

    def valid(self, mask: np.ndarray) -> Array:
        """[cell] as [1, cell * b]."""
        return jnp.asarray(np.repeat(mask, self.clips)[None])


def _matrices(
    geometry: Geometry, dtype: DTypeLike, kernel: Array, bias: Array, sign: Array
) -> tuple[Array, Array]:
    """[place, lane, input + 1] of windows and [lane, input + 1] of single pixels;
    turned round where the smallest value is wanted."""
    turned = kernel * sign.reshape(len(sign), *(1,) * (kernel.ndim - 2), -1)
    column = (bias * sign).reshape(-1, 1)
    places = _kernel_places(geometry, turned)
    columns = jnp.broadcast_to(column, (len(places), *column.shape))
    single = jnp.moveaxis(turned, -1, 1).reshape(len(column), -1)
    return (
        jnp.concatenate([places, columns], -1).astype(dtype),
        jnp.concatenate([single, column], -1).astype(dtype),
    )


def _forward(
    geometry: Geometry, dtype: DTypeLike, x: Array, operands: Operands
) -> tuple[Sums, Saved]:
    """The sums, and what the gradients need."""
    kernel, bias, pivot, sign, keep, weight = operands
    lanes = _Lanes(geometry, x.shape[0], bias)
    places, single = _matrices(geometry, dtype, kernel, bias, sign)
    signs, pivots = lanes.column(sign), lanes.column(pivot)
    keeps = lanes.spread(keep)
    counted = lanes.counted(weight, lanes.cells)
    total = square = jnp.zeros(signs.shape[0])
    extreme = jnp.zeros(keeps.shape)
    pieces = []
    for mean, seen in enumerate(_windows(geometry, dtype, x)):
        h = _product(places, seen)
        best, winner = _largest(geometry, lanes, h, mean)
        kept = (keeps >> mean) & 1 == 1
        extreme = extreme + jnp.where(kept, jnp.maximum(best * signs, 0), 0)
        winner = jnp.where(kept, winner, jnp.uint8(len(h)))
        some, every = _sums(geometry, lanes, h, mean, signs, pivots)
        total = total + jnp.where(counted, some, 0).sum(1)
        square = square + jnp.where(counted, every, 0).sum(1)
        pieces.append(Piece(lanes.by_task(h), lanes.by_task(winner)))
    rest = None
    if (seen := _rest_inputs(geometry, dtype, x)) is not None:
        rest = _product(single[None], seen)[0]
        value = jnp.maximum(rest.astype(jnp.float32) * signs, 0) - pivots
        value = jnp.where(lanes.counted(weight, rest.shape[1] // lanes.clips), value, 0)
        total, square = total + value.sum(1), square + jnp.square(value).sum(1)
    sums = Sums(
        lanes.gather(extreme), total.reshape(bias.shape), square.reshape(bias.shape)
    )
    kept = None if rest is None else lanes.by_task(rest)
    return sums, Saved(kernel, pivot, sign, weight, tuple(pieces), kept)


def _product(matrix: Array, seen: Array) -> Array:
    """[place, lane, w] of [place, lane, input] and [input, w], computed once."""
    places, rows, _ = matrix.shape
    h = jnp.dot(
        matrix.reshape(places * rows, -1), seen, preferred_element_type=jnp.float32
    )
    h = h.astype(seen.dtype).reshape(places, rows, -1)
    # Or compilers compute the product again for every use.
    return lax.optimization_barrier(h)


def _values(
    geometry: Geometry, lanes: _Lanes, h: Array, mean: int
) -> Iterator[tuple[Array, Array | None]]:
    """The outputs of each place in float32, and where there are such if not
    everywhere."""
    for value, mask in zip(h, _valid(geometry)[mean], strict=True):
        yield value.astype(jnp.float32), None if mask.all() else lanes.valid(mask)


def _largest(
    geometry: Geometry, lanes: _Lanes, h: Array, mean: int
) -> tuple[Array, Array]:
    """The largest output of every window, and its place: the first of equal ones."""
    best: Array | None = None
    winner = jnp.zeros((), jnp.uint8)
    for place, (value, valid) in enumerate(_values(geometry, lanes, h, mean)):
        value = value if valid is None else jnp.where(valid, value, -jnp.inf)
        if best is None:
            best, winner = value, jnp.zeros(value.shape, jnp.uint8)
        else:
            winner = jnp.where(value > best, jnp.uint8(place), winner)
            best = jnp.maximum(best, value)
    assert best is not None
    return best, winner


def _sums(
    geometry: Geometry,
    lanes: _Lanes,
    h: Array,
    mean: int,
    signs: Array,
    pivots: Array,
) -> tuple[Array, Array]:
    """Over the outputs of each window, of what they are above `pivots`."""
    some = every = jnp.zeros((), jnp.float32)
    for value, valid in _values(geometry, lanes, h, mean):
        value = jnp.maximum(value * signs, 0) - pivots
        value = value if valid is None else jnp.where(valid, value, 0)
        some, every = some + value, every + value * value
    return some, every


# --- backward


def _output_gradients(
    geometry: Geometry, x: Array, pullback: Pullback
) -> tuple[list[Array], Array | None]:
    """Of the convolution's outputs: of each piece's, and of the rest's."""
    saved, (dextreme, dtotal, dsquare) = pullback
    lanes = _Lanes(geometry, x.shape[0], saved.pivot)
    signs = lanes.column(saved.sign)
    constant = lanes.column(dtotal - 2 * dsquare * saved.pivot)
    slope = lanes.column(2 * dsquare)
    dextremes = lanes.spread(dextreme)

    def through_sums(value: Array, counted: Array) -> Array:
        return jnp.where(counted, constant + slope * value, 0)

    counted = lanes.counted(saved.weight, lanes.cells)
    gradients = []
    for mean, piece in enumerate(saved.pieces):
        dh = []
        winners = lanes.merged(piece.winners)
        outputs = _values(geometry, lanes, lanes.merged(piece.outputs), mean)
        for place, (value, valid) in enumerate(outputs):
            value = value * signs
            seen = counted if valid is None else counted & valid
            each = through_sums(value, seen)
            each = each + jnp.where(winners == place, dextremes, 0)
            dh.append(jnp.where(value > 0, each, 0).astype(piece.outputs.dtype))
        gradients.append(jnp.stack(dh))
    if saved.rest is None:
        return gradients, None
    value = lanes.merged(saved.rest).astype(jnp.float32) * signs
    counted = lanes.counted(saved.weight, value.shape[1] // lanes.clips)
    rest = jnp.where(value > 0, through_sums(value, counted), 0)
    return gradients, rest.astype(saved.rest.dtype)


def _kernel_gradient(
    geometry: Geometry, dtype: DTypeLike, x: Array, pullback: Pullback
) -> tuple[Array, Array]:
    """Of all tasks' kernels and biases."""
    kernel = pullback.saved.kernel
    tasks, channels = pullback.saved.pivot.shape
    gradients, rest = _output_gradients(geometry, x, pullback)

    def product(dh: Array, seen: Array) -> Array:
        contract = (((dh.ndim - 1,), (1,)), ((), ()))
        return lax.dot_general(dh, seen, contract, preferred_element_type=jnp.float32)

    windows = _windows(geometry, dtype, x)
    total = sum(product(dh, seen) for dh, seen in zip(gradients, windows, strict=True))

    def placed(kernel: Array) -> Array:
        return _kernel_places(geometry, kernel)

    (dkernel,) = jax.linear_transpose(placed, kernel)(total[..., :-1])
    dbias = total[..., -1].sum(0)
    if rest is not None:
        seen = _rest_inputs(geometry, dtype, x)
        assert seen is not None
        more = product(rest, seen)
        dbias = dbias + more[:, -1]
        more = more[:, :-1].reshape(tasks, channels, *kernel.shape[1:-1])
        dkernel = dkernel + jnp.moveaxis(more, 1, -1)
    return dkernel, dbias.reshape(tasks, channels)


def _input_gradient(
    geometry: Geometry, dtype: DTypeLike, x: Array, pullback: Pullback
) -> Array:
    """[task, b, *space, c]"""
    saved = pullback.saved
    tasks, channels = saved.pivot.shape
    gradients, rest = _output_gradients(geometry, x, pullback)
    ones = jnp.ones_like(saved.sign)
    places, single = _matrices(geometry, dtype, saved.kernel, ones, ones)

    def of_inputs(dh: Array, matrix: Array) -> Array:
        """[t, input + 1, w] of [place, t * d, w] and [place, t * d, input + 1]."""
        dh = dh.reshape(-1, tasks, channels, dh.shape[-1])
        matrix = matrix.reshape(-1, tasks, channels, matrix.shape[-1])
        return jnp.einsum(
            "ktdw,ktdi->tiw", dh, matrix, preferred_element_type=jnp.float32
        )

    parts: Sequence[Array] = [of_inputs(dh, places) for dh in gradients]

    def seen(x: Array) -> tuple[list[Array], Array | None]:
        return _windows(geometry, jnp.float32, x), _rest_inputs(
            geometry, jnp.float32, x
        )

    more = None if rest is None else of_inputs(rest[None], single[None])
    back = jax.linear_transpose(seen, x.astype(jnp.float32))
    (dx,) = jax.vmap(back)((list(parts), more))
    return dx.astype(x.dtype)
