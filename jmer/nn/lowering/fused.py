"""Convolution, ReLU, statistics and pooling in one pass over tiles, for a CPU.

A tile is a few clips, for all tasks of a pack: small enough that the convolution's
output stays in the cache, and is never written to memory. The gradient computes it
again. Tasks that share their input are merged into the columns of one matrix product;
that is why the task axis has its own rule here, under `jax.vmap`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, Int
from jmer.nn.lowering.slots import Geometry, patch_index, slots
from jmer.targets.scopes import at_most

TILE = 180_000  # values of the convolution in one tile: 0.7 MB in float32


class Operands(NamedTuple):
    """What clips meet in a layer: of one task, or of all with tasks first."""

    kernel: Float[Array, "*window c d"]
    bias: Float[Array, " d"]
    pivot: Float[Array, " d"]
    """What the sums are about."""
    sign: Float[Array, " d"]
    """1 where max-pools take the largest value of a channel, -1 for the smallest."""
    keep: Int[Array, "b cells d"]
    """A bit for each max-pool window of a cell: whether it counts."""
    weight: Float[Array, " b"]
    """0 for clips that touch no sum of the channels."""


class Sums(NamedTuple):
    """What a layer makes of clips, or the cotangents of that; tasks first, if any."""

    extreme: Float[Array, "b cells d"]
    total: Float[Array, " d"]
    square: Float[Array, " d"]


class Residuals(NamedTuple):
    """What the gradients need beside the clips; tasks first, if any."""

    kernel: Float[Array, "*window c d"]
    bias: Float[Array, " d"]
    pivot: Float[Array, " d"]
    winners: Int[Array, "b cells d"]
    """Which value each max-pool window of a cell took: `_code_bits` for each."""
    weight: Float[Array, " b"]


class Pullback(NamedTuple):
    """All that a gradient is a function of, but for the clips."""

    residuals: Residuals
    cotangents: Sums


T = TypeVar("T", bound=tuple)
R = TypeVar("R")
S = TypeVar("S")
W = TypeVar("W")
C = TypeVar("C")


def fits(geometry: Geometry) -> bool:
    """Whether the winners of a cell's max-pools can be kept in one integer."""
    return _code_bits(geometry) * math.prod(geometry.average) <= 32


@functools.cache
def pooled_features(
    geometry: Geometry, dtype: DTypeLike
) -> Callable[[Array, Operands], Sums]:
    """`f(x, operands)`, differentiable in `x`, `kernel` and `bias`.

    With r = ReLU(convolution of `x` [b, *space, c] with `kernel`, plus `bias`), the
    result is

    - `extreme`: sums, over the max-pool windows of each cell that `keep` keeps, of the
      largest r where `sign` is 1, of the smallest where it is -1;
    - `total` and `square`: sums of r - `pivot` and of its square, over all pixels of
      the clips that have `weight`.

    Clips after the last one with weight are not computed and give zeros. Matrix
    products take `dtype`, all else is float32.
    """
    forward = over_tasks(functools.partial(_forward, geometry, dtype))
    kernel_gradient = over_tasks(functools.partial(_kernel_gradient, geometry, dtype))
    input_gradient = over_tasks(functools.partial(_input_gradient, geometry, dtype))

    def saved(operands: Operands, winners: Array) -> Residuals:
        kernel, bias, pivot, *_, weight = operands
        return Residuals(kernel, bias, pivot, winners, weight)

    return differentiable(forward, saved, Pullback, kernel_gradient, input_gradient)


def differentiable(
    forward: Callable[[Array, Operands], tuple[Sums, W]],
    save: Callable[[Operands, W], S],
    pullback: Callable[[S, Sums], T],
    kernel_gradient: Callable[[Array, T], tuple[Array, Array]],
    input_gradient: Callable[[Array, T], Array],
) -> Callable[[Array, Operands], Sums]:
    """The function of `forward`'s sums, with gradients of clips, kernels and biases.

    `save` makes what those need of the operands and of what else `forward` returned,
    and `pullback` all that they are a function of.
    """

    @jax.custom_vjp
    def features(x: Array, operands: Operands) -> Sums:
        return forward(x, operands)[0]

    def with_saved(x: Array, operands: Operands) -> tuple[Sums, tuple[Array, S]]:
        sums, more = forward(x, operands)
        return sums, (x, save(operands, more))

    def gradient(
        saved: tuple[Array, S], cotangents: Sums
    ) -> tuple[Array | None, Operands]:
        x, others = saved[0], pullback(saved[1], cotangents)
        dkernel, dbias = kernel_gradient(x, others)
        # Apart, so that the compiler drops it for a first layer.
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        dx = input_gradient(x, others) if floating else None
        none: Any = None  # how a custom rule says that there is no gradient
        return dx, Operands(dkernel, dbias, none, none, none, none)

    features.defvjp(with_saved, gradient)
    return features


def over_tasks(function: Callable[[Array, T], R]) -> Callable[[Array, T], R]:
    """`function(x, others)`, whose others and results have a task axis, for one task;
    mapped over tasks that share `x`, one call for all of them.
    """

    @custom_vmap
    def one(x: Array, others: T) -> R:
        result = function(x, jax.tree.map(lambda value: value[None], others))
        return jax.tree.map(lambda value: value[0], result)

    @one.def_vmap
    def many(tasks: int, batched: list[Any], x: Array, others: T) -> tuple[R, Any]:
        def of_each(value: Array, mapped: bool) -> Array:
            return value if mapped else jnp.broadcast_to(value, (tasks, *value.shape))

        x_mapped, mapped = batched
        others = jax.tree.map(of_each, others, mapped)
        if x_mapped:
            result = lax.map(lambda args: one(*args), (x, others))
        else:
            result = function(x, others)
        return result, jax.tree.map(lambda _: True, result)

    return one


def _code_bits(geometry: Geometry) -> int:
    return math.prod(geometry.pool).bit_length()


class _Tiles:
    """The clips of `x`, a tile at a time, against the kernels of all tasks."""

    tasks: int
    channels: int

    def __init__(
        self,
        geometry: Geometry,
        dtype: DTypeLike,
        x: Array,
        layer: Operands | Residuals,
    ) -> None:
        kernel, bias, weight = layer.kernel, layer.bias, layer.weight
        self.tasks, self.channels = bias.shape
        self.lanes = self.tasks * self.channels
        self.index = patch_index(geometry)
        self.slots, self.cells, self.taps = self.index.shape
        self.dtype = dtype
        self.clips = x.shape[0]
        per_clip = self.slots * self.cells * self.lanes
        self.size = min(max(1, TILE // per_clip), self.clips)
        self.rows = -(-self.clips // self.size) * self.size
        last = jnp.where((weight > 0).any(0), jnp.arange(self.clips) + 1, 0).max()
        self.count = (last + self.size - 1) // self.size
        padding = ((0, self.rows - self.clips), *((p, p) for p in geometry.padding))
        flat = jnp.pad(x, (*padding, (0, 0))).reshape(self.rows, -1)
        ends = jnp.tile(jnp.array([[1, 0]], x.dtype), (self.rows, 1))
        self.flat = jnp.concatenate([flat, ends], axis=1)
        matrix = jnp.concatenate(
            [kernel.reshape(self.tasks, -1, self.channels), bias[:, None]], axis=1
        )
        self.matrix = matrix.swapaxes(0, 1).reshape(self.taps, self.lanes).astype(dtype)

    def spread(self, value: Array) -> Array:
        """[task, clip, ..., channel] to [row, ..., lane]."""
        pads = [(0, 0), (0, self.rows - self.clips)] + [(0, 0)] * (value.ndim - 2)
        value = jnp.moveaxis(jnp.pad(value, pads), 0, -2)
        return value.reshape(*value.shape[:-2], self.lanes)

    def per_clip(self, value: Array) -> Array:
        """[task, clip] to [row, lane]."""
        return self.spread(jnp.repeat(value[..., None], self.channels, -1))

    def gather(self, value: Array) -> Array:
        """The inverse of `spread`."""
        value = value[: self.clips]
        value = value.reshape(*value.shape[:-1], self.tasks, self.channels)
        return jnp.moveaxis(value, -2, 0)

    def take(self, value: Array, tile: Array) -> Array:
        """The clips of a tile, of an array with rows first."""
        return lax.dynamic_slice_in_dim(value, tile * self.size, self.size)

    def each(self, body: Callable[[Array, C], C], start: Any) -> C:
        """`start` after `body` has gone over the tiles that have clips with weight."""
        with jax.named_scope(at_most(self.rows // self.size)):
            return lax.fori_loop(0, self.count, body, start)

    def put(self, target: Array, value: Array, tile: Array) -> Array:
        start = tile * self.size
        return lax.dynamic_update_slice_in_dim(
            target, value.astype(target.dtype), start, 0
        )

    def patches(self, tile: Array) -> Array:
        """[clip * slot * cell, tap]: what each output sees, and a one."""
        values = jnp.take(self.take(self.flat, tile), self.index.reshape(-1), axis=1)
        return values.reshape(-1, self.taps).astype(self.dtype)

    def convolve(self, patches: Array) -> Array:
        """[clip, slot, cell, lane]"""
        product = jnp.dot(patches, self.matrix, preferred_element_type=jnp.float32)
        return product.reshape(-1, self.slots, self.cells, self.lanes)

    def unmerge(self, gradient: Array) -> tuple[Array, Array]:
        """Gradients of the kernels (flat) and biases from that of the matrix."""
        gradient = gradient.reshape(self.taps, self.tasks, self.channels)
        gradient = gradient.swapaxes(0, 1)
        return gradient[:, :-1], gradient[:, -1]


def _forward(
    geometry: Geometry, dtype: DTypeLike, x: Array, operands: Operands
) -> tuple[Sums, Array]:
    """The sums, and the winners of the gradient's residuals."""
    tiles = _Tiles(geometry, dtype, x, operands)
    _, _, pivot, sign, keep, weight = operands
    means = math.prod(geometry.average)
    windows = math.prod(geometry.pool)
    bits = _code_bits(geometry)
    _, seen = slots(geometry)
    low = np.where(seen, 0, -np.inf).astype(np.float32)[:, :, None]
    pivots, signs = (value.reshape(tiles.lanes) for value in (pivot, sign))
    keeps = tiles.spread(keep)
    counted = tiles.per_clip(weight)

    def pooled(h: Array, mean: int) -> tuple[Array, Array]:
        """The largest value of the windows of one mean, and which it was."""

        def candidate(k: int) -> Array:
            row = k * means + mean
            value = h[:, row] * signs
            return value if seen[row].all() else value + low[row]

        best = candidate(0)
        winner = jnp.zeros(best.shape, jnp.uint32)
        for k in range(1, windows):
            value = candidate(k)
            winner = jnp.where(value > best, jnp.uint32(k), winner)
            best = jnp.where(value > best, value, best)
        return jnp.maximum(best * signs, 0), winner

    def body(tile: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
        total, square, *outputs = carry
        h = tiles.convolve(tiles.patches(tile))
        kept = tiles.take(keeps, tile).astype(jnp.uint32)
        some = every = extreme = jnp.zeros((), jnp.float32)
        for row in range(tiles.slots):
            shifted = jnp.maximum(h[:, row], 0) - pivots
            some, every = some + shifted, every + shifted * shifted
        # Sums stay per cell: a reduction here would end the fusion of all the above.
        counts = tiles.take(counted, tile)[:, None] > 0
        total = total + jnp.where(counts, some, 0)
        square = square + jnp.where(counts, every, 0)
        winners = jnp.zeros(kept.shape, jnp.uint32)
        for mean in range(means):
            value, winner = pooled(h, mean)
            keep_this = (kept >> mean) & 1 == 1
            extreme = extreme + jnp.where(keep_this, value, 0)
            winner = jnp.where(keep_this, winner, jnp.uint32(windows))
            winners = winners | (winner << (bits * mean))
        made = zip(outputs, (extreme, winners), strict=True)
        return total, square, *(tiles.put(out, value, tile) for out, value in made)

    cells, lanes = tiles.cells, tiles.lanes
    code = jnp.uint16 if bits * means <= 16 else jnp.uint32
    empty = (
        jnp.zeros((tiles.size, cells, lanes)),
        jnp.zeros((tiles.size, cells, lanes)),
        jnp.zeros((tiles.rows, cells, lanes)),
        jnp.zeros((tiles.rows, cells, lanes), code),
    )
    total, square, extreme, winners = tiles.each(body, empty)
    # Slots without a pixel hold a zero, and were shifted all the same.
    spare = (tiles.slots * cells - math.prod(geometry.out)) * (weight > 0).sum(1)
    spare = spare[:, None].astype(jnp.float32)
    total = total.sum((0, 1)).reshape(pivot.shape) + spare * pivot
    square = square.sum((0, 1)).reshape(pivot.shape) - spare * jnp.square(pivot)
    sums = Sums(tiles.gather(extreme), total, square)
    return sums, tiles.gather(winners)


def _output_gradient(
    geometry: Geometry, tiles: _Tiles, pullback: Pullback
) -> Callable[[Array, Array], Array]:
    """`f(tile, patches)`: the gradient of the convolution's output, a row each."""
    _, _, pivot, winners, weight = pullback.residuals
    dextreme, dtotal, dsquare = pullback.cotangents
    means, bits = math.prod(geometry.average), _code_bits(geometry)
    pooled = np.arange(math.prod(geometry.pool) * means, dtype=np.uint32)
    shift = (pooled % means * bits)[:, None, None].astype(np.uint32)
    window = (pooled // means)[:, None, None]
    codes, dextremes = tiles.spread(winners), tiles.spread(dextreme)
    constant = (dtotal - 2 * dsquare * pivot).reshape(tiles.lanes)
    slope = (2 * dsquare).reshape(tiles.lanes)
    counted = tiles.per_clip(weight)

    def gradient(tile: Array, patches: Array) -> Array:
        h = tiles.convolve(patches)
        code = tiles.take(codes, tile).astype(jnp.uint32)[:, None]
        won = (code >> shift) & (2**bits - 1) == window
        dh = jnp.where(won, tiles.take(dextremes, tile)[:, None], 0)
        unseen = tiles.slots - len(pooled)
        dh = jnp.pad(dh, ((0, 0), (0, unseen), (0, 0), (0, 0)))
        counts = tiles.take(counted, tile)[:, None, None] > 0
        dh = dh + jnp.where(counts, constant + slope * h, 0)
        return jnp.where(h > 0, dh, 0).reshape(-1, tiles.lanes).astype(tiles.dtype)

    return gradient


def _kernel_gradient(
    geometry: Geometry, dtype: DTypeLike, x: Array, pullback: Pullback
) -> tuple[Array, Array]:
    """Of all tasks' kernels and biases."""
    kernel = pullback.residuals.kernel
    tiles = _Tiles(geometry, dtype, x, pullback.residuals)
    output_gradient = _output_gradient(geometry, tiles, pullback)

    def body(tile: Array, total: Array) -> Array:
        patches = tiles.patches(tile)
        dh = output_gradient(tile, patches)
        return total + jnp.dot(patches.T, dh, preferred_element_type=jnp.float32)

    total = tiles.each(body, jnp.zeros((tiles.taps, tiles.lanes), jnp.float32))
    dkernel, dbias = tiles.unmerge(total)
    return dkernel.reshape(kernel.shape), dbias


def _input_gradient(
    geometry: Geometry, dtype: DTypeLike, x: Array, pullback: Pullback
) -> Array:
    """[task, b, *space, c], one task after another."""
    size = [n + 2 * p for n, p in zip(geometry.space, geometry.padding, strict=True)]
    inside = tuple(
        slice(p, p + n) for n, p in zip(geometry.space, geometry.padding, strict=True)
    )

    def of_task(one: Pullback) -> Array:
        one = jax.tree.map(lambda value: value[None], one)
        tiles = _Tiles(geometry, dtype, x, one.residuals)
        output_gradient = _output_gradient(geometry, tiles, one)
        index = tiles.index.reshape(-1)

        def body(tile: Array, dx: Array) -> Array:
            dh = output_gradient(tile, tiles.patches(tile))
            dpatches = jnp.dot(dh, tiles.matrix.T, preferred_element_type=jnp.float32)
            rows = jnp.zeros((tiles.size, tiles.flat.shape[1]))
            rows = rows.at[:, index].add(dpatches.reshape(tiles.size, -1))
            return tiles.put(dx, rows, tile)

        dx = tiles.each(body, jnp.zeros(tiles.flat.shape))
        dx = dx[: tiles.clips, :-2].reshape(tiles.clips, *size, geometry.inputs)
        return dx[(slice(None), *inside)].astype(x.dtype)

    return lax.map(of_task, pullback)
