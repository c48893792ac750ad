"""Convolution, ReLU, statistics and pooling as products of windows, for accelerators.

All outputs of a max-pool window are one product of the inputs that they see with the
kernel in each of its places: five by five pixels instead of nine times three by three.
The windows of all clips are the last axis, and tasks and channels the one before, so
that a chip's lanes are full whatever the number of tasks; pooling is element-wise over
the kernel's places. The gradient computes the outputs again: products are cheap there,
memory is not.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, Int
from jmer.nn.lowering.fused import Operands, Sums, differentiable, over_tasks
from jmer.nn.lowering.slots import Geometry
from jmer.nn.lowering.window_inputs import (
    filled,
    images_of,
    kernel_places,
    rest_of,
    rest_pixels,
    valid_outputs,
    windows_of,
)


class Style(NamedTuple):
    """What compilers differ in."""

    apart: Literal["place", "mean"]
    """What is worked out one after the other: the product of every place, joined with
    the sums that it goes into; or those of one place of the mean, which are stored."""
    multiple: int
    """The last axis is filled up to a multiple of this."""


STYLES: Mapping[str, Style] = {
    # Arrays of one place fit into the memory beside the cores, those of all do not.
    "tpu": Style(apart="place", multiple=1),
    # Rows of 16 bytes in each of up to 16 parts of a sum, or they are copied.
    "gpu": Style(apart="mean", multiple=128),
}
"""By lowering."""


class Saved(NamedTuple):
    """What the gradients need beside the clips."""

    kernel: Float[Array, "t *window c d"]
    bias: Float[Array, "t d"]
    pivot: Float[Array, "t d"]
    sign: Float[Array, "t d"]
    weight: Float[Array, "t b"]
    winners: tuple[Int[Array, "t d w"], ...]
    """For each place of the mean, which of its places every max-pool window took, or as
    many as there are if it is dropped; `w` is cells and their clips."""


class Pullback(NamedTuple):
    """All that a gradient is a function of, but for the clips."""

    saved: Saved
    cotangents: Sums


def fits(geometry: Geometry) -> bool:
    """Whether marking outputs with their place leaves them digits enough."""
    return math.prod(geometry.pool) <= MOST_PLACES


MOST_PLACES = 16


@functools.cache
def pooled_features(
    geometry: Geometry, dtype: DTypeLike, style: Style
) -> Callable[[Array, Operands], Sums]:
    """The function of that name in `fused`, as another program.

    Here `keep` and `extreme` are [d, cell * b]; all clips are computed.
    """
    forward = over_tasks(functools.partial(_forward, geometry, dtype, style))
    kernel_gradient = over_tasks(
        functools.partial(_kernel_gradient, geometry, dtype, style)
    )
    input_gradient = over_tasks(
        functools.partial(_input_gradient, geometry, dtype, style)
    )

    def saved(operands: Operands, saved: Saved) -> Saved:
        return saved

    return differentiable(forward, saved, Pullback, kernel_gradient, input_gradient)


# --- forward


class _Lanes:
    """Tasks, channels and windows: cells and their clips as one axis."""

    tasks: int
    channels: int

    def __init__(
        self, geometry: Geometry, style: Style, clips: int, like: Array
    ) -> None:
        self.style = style
        self.tasks, self.channels = like.shape
        self.clips, self.cells = clips, math.prod(geometry.cells)

    def apart(self, *values: Array) -> tuple[Array, ...]:
        """The same values, for a compiler to work out one after another where `style`
        says so. Left alone it would join all places' products into one program, whose
        arrays fit no memory beside the cores."""
        alone = self.style.apart == "place"
        return lax.optimization_barrier(values) if alone else values

    def there(self, mask: np.ndarray) -> Array:
        """[cell] as [1, 1, cell * b]."""
        mask = np.repeat(mask, self.clips)
        more = -len(mask) % self.style.multiple
        return jnp.asarray(np.pad(mask, (0, more))[None, None])

    def counted(self, weight: Array, pixels: int) -> Array:
        """[t, b] as [t, 1, pixel * b]: whether an output counts."""
        counted = jnp.tile(weight > 0, (1, pixels))[:, None]
        return filled(counted, self.style.multiple)

    def product(self, matrix: Array, seen: Array) -> Array:
        """[t, d, w] of [t * d, input] and [input, w], in float32."""
        stored = jnp.float32 if self.style.apart == "place" else seen.dtype
        h = jnp.dot(matrix, seen, preferred_element_type=stored)
        return h.reshape(self.tasks, self.channels, -1).astype(jnp.float32)


def _matrices(
    geometry: Geometry, dtype: DTypeLike, kernel: Array, bias: Array, sign: Array
) -> tuple[Array, Array]:
    """[place, lane, input + 1] of windows and [lane, input + 1] of single pixels;
    turned round where the smallest value is wanted."""
    turned = kernel * sign.reshape(len(sign), *(1,) * (kernel.ndim - 2), -1)
    column = (bias * sign).reshape(-1, 1)
    places = kernel_places(geometry, turned)
    columns = jnp.broadcast_to(column, (len(places), *column.shape))
    single = jnp.moveaxis(turned, -1, 1).reshape(len(column), -1)
    return (
        jnp.concatenate([places, columns], -1).astype(dtype),
        jnp.concatenate([single, column], -1).astype(dtype),
    )


def _forward(
    geometry: Geometry,
    dtype: DTypeLike,
    style: Style,
    x: Array,
    operands: Operands,
) -> tuple[Sums, Saved]:
    """The sums, and what the gradients need."""
    kernel, bias, pivot, sign, keep, weight = operands
    lanes = _Lanes(geometry, style, x.shape[0], bias)
    images = images_of(geometry, dtype, x)
    places, single = _matrices(geometry, dtype, kernel, bias, sign)
    code = _Code(len(places), sign)
    signs, pivots = sign[..., None], pivot[..., None]
    counted = lanes.counted(weight, lanes.cells)
    width, keep = keep.shape[-1], filled(keep, style.multiple)
    some: Any
    every: Any
    some = every = extreme = jnp.zeros(keep.shape)
    total = square = jnp.zeros(bias.shape)
    winners = []
    windows = windows_of(geometry, images, style.multiple)
    for mean, seen in enumerate(windows):
        if mean and style.apart == "mean":
            total, square, seen = lax.optimization_barrier((total, square, seen))
        best: Any = jnp.full(keep.shape, LOWEST)
        for place, matrix in enumerate(places):
            value = lanes.product(matrix, seen)
            (again,) = lanes.apart(seen)
            above = jnp.maximum(lanes.product(matrix, again) * signs, 0) - pivots
            marked = code.marked(value, place)
            valid = valid_outputs(geometry)[mean, place]
            if not valid.all():
                there = lanes.there(valid)
                above = jnp.where(there, above, 0)
                marked = jnp.where(there, marked, LOWEST)
            (best,) = lanes.apart(jnp.maximum(best, marked))
            some, every = lanes.apart(some + above, every + above * above)
        kept = (keep >> mean) & 1 == 1
        value, winner = code.taken(best)
        # Zeros have lost their marks: such small numbers become zero.
        passed = kept & (value * signs > 0)
        extreme = extreme + jnp.where(passed, value * signs, 0)
        winner = jnp.where(passed, winner, len(places))
        winners.append(winner.astype(jnp.uint8))
        if style.apart == "mean" or mean == len(windows) - 1:
            total = total + jnp.where(counted, some, 0).sum(-1)
            square = square + jnp.where(counted, every, 0).sum(-1)
            some = every = jnp.zeros(keep.shape)
    if (more := rest_of(geometry, images, style.multiple)) is not None:
        value = jnp.maximum(lanes.product(single, more) * signs, 0) - pivots
        counted = lanes.counted(weight, len(rest_pixels(geometry)[0]))
        value = jnp.where(counted, value, 0)
        total, square = total + value.sum(-1), square + jnp.square(value).sum(-1)
    if width < extreme.shape[-1]:
        # Cut off later: a program of several results has them of one shape.
        extreme = lax.optimization_barrier(extreme)[..., :width]
    sums = Sums(extreme, total, square)
    return sums, Saved(kernel, bias, pivot, sign, weight, tuple(winners))


LOWEST = np.float32(-3e38)
"""Less than any output; finite, since marks in an infinity's bits make it no number."""


class _Code:
    """Outputs whose lowest bits say which place of a window they are from, so that the
    largest of them is found with its place in one pass.

    They lose about the 20th bit of their fraction by it. Of equal outputs the first
    place wins, of those that the ReLU lets through.
    """

    def __init__(self, places: int, sign: Array) -> None:
        self.mask = np.uint32(2 ** (places - 1).bit_length() - 1)
        self.turned = (sign < 0)[..., None]

    def marked(self, value: Array, place: int) -> Array:
        bits = lax.bitcast_convert_type(value, jnp.uint32) & ~self.mask
        # The more, the larger a positive number and the smaller a negative one.
        mark = jnp.where(self.turned, np.uint32(place), self.mask - np.uint32(place))
        return lax.bitcast_convert_type(bits | mark, jnp.float32)

    def taken(self, marked: Array) -> tuple[Array, Array]:
        """The value, and its place."""
        bits = lax.bitcast_convert_type(marked, jnp.uint32)
        mark = bits & self.mask
        place = jnp.where(self.turned, mark, self.mask - mark)
        return lax.bitcast_convert_type(bits & ~self.mask, jnp.float32), place


# --- backward


class _Gradients:
    """The gradient of the convolution's outputs, a product at a time."""

    def __init__(
        self,
        geometry: Geometry,
        dtype: DTypeLike,
        style: Style,
        x: Array,
        pullback: Pullback,
    ) -> None:
        self.saved, (dextreme, dtotal, dsquare) = pullback
        saved = self.saved
        self.geometry, self.dtype = geometry, dtype
        self.lanes = _Lanes(geometry, style, x.shape[0], saved.pivot)
        self.places, self.single = _matrices(
            geometry, dtype, saved.kernel, saved.bias, saved.sign
        )
        self.signs = saved.sign[..., None]
        self.constant = (dtotal - 2 * dsquare * saved.pivot)[..., None]
        self.slope = (2 * dsquare)[..., None]
        self.dextremes = filled(dextreme, style.multiple)
        self.counted = self.lanes.counted(saved.weight, self.lanes.cells)

    def of_place(self, mean: int, place: int, seen: Array) -> Array:
        """[t * d, w]"""
        value = self.lanes.product(self.places[place], seen) * self.signs
        dh = self._through_sums(value, self.counted)
        valid = valid_outputs(self.geometry)[mean, place]
        if not valid.all():
            dh = jnp.where(self.lanes.there(valid), dh, 0)
        won = self.saved.winners[mean].astype(jnp.int32) == place
        return self._through_relu(value, dh + jnp.where(won, self.dextremes, 0))

    def of_rest(self, seen: Array) -> Array:
        """[t * d, w]"""
        value = self.lanes.product(self.single, seen) * self.signs
        pixels = len(rest_pixels(self.geometry)[0])
        counted = self.lanes.counted(self.saved.weight, pixels)
        return self._through_relu(value, self._through_sums(value, counted))

    def _through_sums(self, value: Array, counted: Array) -> Array:
        return jnp.where(counted, self.constant + self.slope * value, 0)

    def _through_relu(self, value: Array, dh: Array) -> Array:
        dh = jnp.where(value > 0, dh, 0).astype(self.dtype)
        (dh,) = self.lanes.apart(dh)
        return dh.reshape(-1, dh.shape[-1])


def _kernel_gradient(
    geometry: Geometry,
    dtype: DTypeLike,
    style: Style,
    x: Array,
    pullback: Pullback,
) -> tuple[Array, Array]:
    """Of all tasks' kernels and biases."""
    kernel = pullback.saved.kernel
    tasks, channels = pullback.saved.pivot.shape
    gradients = _Gradients(geometry, dtype, style, x, pullback)
    images = images_of(geometry, dtype, x)

    def product(dh: Array, seen: Array) -> Array:
        contract = (((1,), (1,)), ((), ()))
        return lax.dot_general(dh, seen, contract, preferred_element_type=jnp.float32)

    windows = windows_of(geometry, images, style.multiple)
    each: list[Any] = [0] * math.prod(geometry.pool)
    for mean, seen in enumerate(windows):
        if mean and style.apart == "mean":
            each, seen = lax.optimization_barrier((each, seen))
        for place, before in enumerate(each):
            dh = gradients.of_place(mean, place, seen)
            each[place] = before + product(dh, seen)
    total = jnp.stack(each)

    def placed(kernel: Array) -> Array:
        return kernel_places(geometry, kernel)

    (dkernel,) = jax.linear_transpose(placed, kernel)(total[..., :-1])
    dbias = total[..., -1].sum(0)
    if (rest := rest_of(geometry, images, style.multiple)) is not None:
        more = product(gradients.of_rest(rest), rest)
        dbias = dbias + more[:, -1]
        more = more[:, :-1].reshape(tasks, channels, *kernel.shape[1:-1])
        dkernel = dkernel + jnp.moveaxis(more, 1, -1)
    return dkernel, dbias.reshape(tasks, channels)


def _input_gradient(
    geometry: Geometry,
    dtype: DTypeLike,
    style: Style,
    x: Array,
    pullback: Pullback,
) -> Array:
    """[task, b, *space, c]"""
    tasks, channels = pullback.saved.pivot.shape
    gradients = _Gradients(geometry, dtype, style, x, pullback)
    images = images_of(geometry, dtype, x)
    signs = pullback.saved.sign.reshape(-1, 1)

    def of_inputs(dh: Array, matrix: Array) -> Array:
        """[t, input + 1, w] of [t * d, w] and [t * d, input + 1]."""
        dh = dh.reshape(tasks, channels, -1)
        matrix = (matrix * signs.astype(dtype)).reshape(tasks, channels, -1)
        return jnp.einsum(
            "tdw,tdi->tiw", dh, matrix, preferred_element_type=jnp.float32
        )

    parts = []
    for mean, seen in enumerate(windows_of(geometry, images, style.multiple)):
        total: Any = 0
        for place, matrix in enumerate(gradients.places):
            dh = gradients.of_place(mean, place, seen)
            total = total + of_inputs(dh, matrix)
        parts.append(total)
    more = None
    if (rest := rest_of(geometry, images, style.multiple)) is not None:
        more = of_inputs(gradients.of_rest(rest), gradients.single)

    def looked_at(x: Array) -> tuple[list[Array], Array | None]:
        images = images_of(geometry, jnp.float32, x)
        return windows_of(geometry, images, style.multiple), rest_of(
            geometry, images, style.multiple
        )

    zero = jnp.zeros(x.shape, jnp.float32)
    (dx,) = jax.vmap(jax.vjp(looked_at, zero)[1])((parts, more))
    return dx.astype(x.dtype)
