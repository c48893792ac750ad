"""Convolution, ReLU, statistics and pooling in one pass over tiles, for a CPU.

A tile is a few clips, for all tasks of a pack: small enough that the convolution's
output stays in the cache, and is never written to memory. The gradient computes it
again. Tasks that share their input are merged into the columns of one matrix product;
that is why the task axis has its own rule here, under `jax.vmap`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap
from jax.typing import DTypeLike

from jmer.arrays import Array
from jmer.nn.lowering.slots import Geometry, patch_index, slots

TILE = 180_000  # values of the convolution in one tile: 0.7 MB in float32


def fits(geometry: Geometry) -> bool:
    """Whether the winners of a cell's max-pools can be kept in one integer."""
    return _code_bits(geometry) * math.prod(geometry.average) <= 32


@functools.cache
def pooled_features(geometry: Geometry, dtype: DTypeLike) -> Callable[..., Any]:
    """`f(x, kernel, bias, pivot, sign, keep, weight)`, differentiable in the first
    three.

    With r = ReLU(convolution of `x` [b, *space, c] with `kernel` [*window, c, d], plus
    `bias` [d]), the result is

    - [b, cells, d]: sums, over the max-pool windows of each cell that `keep` (integer
      [b, cells, d], a bit for each window) keeps, of the largest r where `sign` [d] is
      1, of the smallest where it is -1;
    - [d] twice: sums of r - `pivot` and of its square, over all pixels of the clips
      that have `weight` [b].

    Clips after the last one with weight are not computed and give zeros. Matrix
    products take `dtype`, all else is float32.
    """
    forward = _over_tasks(functools.partial(_forward, geometry, dtype))
    kernel_gradient = _over_tasks(functools.partial(_kernel_gradient, geometry, dtype))
    input_gradient = _over_tasks(functools.partial(_input_gradient, geometry, dtype))

    @jax.custom_vjp
    def features(*args):
        return forward(*args)[:3]

    def with_residuals(x, kernel, bias, pivot, sign, keep, weight):
        *result, winners = forward(x, kernel, bias, pivot, sign, keep, weight)
        return tuple(result), (x, kernel, bias, pivot, winners, weight)

    def gradient(residuals, cotangents):
        x = residuals[0]
        dkernel, dbias = kernel_gradient(*residuals, *cotangents)
        # Apart, so that the compiler drops it for a first layer.
        floating = jnp.issubdtype(x.dtype, jnp.floating)
        dx = input_gradient(*residuals, *cotangents) if floating else None
        return dx, dkernel, dbias, None, None, None, None

    features.defvjp(with_residuals, gradient)
    return features


def _over_tasks(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(x, *others)`, whose other arguments and results have a task axis, for
    one task; mapped over tasks that share `x`, one call for all of them.
    """

    @custom_vmap
    def one(x, *others):
        result = function(x, *(value[None] for value in others))
        return jax.tree.map(lambda value: value[0], result)

    @one.def_vmap
    def many(tasks, batched, x, *others):
        others = tuple(
            value if mapped else jnp.broadcast_to(value, (tasks, *value.shape))
            for value, mapped in zip(others, batched[1:], strict=True)
        )
        if batched[0]:
            result = lax.map(lambda args: one(*args), (x, *others))
        else:
            result = function(x, *others)
        return result, jax.tree.map(lambda _: True, result)

    return one


def _code_bits(geometry: Geometry) -> int:
    return math.prod(geometry.pool).bit_length()


class _Tiles:
    """The clips of `x`, a tile at a time, against the kernels of all tasks."""

    def __init__(self, geometry, dtype, x, kernel, bias, weight):
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


def _forward(geometry, dtype, x, kernel, bias, pivot, sign, keep, weight):
    tiles = _Tiles(geometry, dtype, x, kernel, bias, weight)
    means = math.prod(geometry.average)
    windows = math.prod(geometry.pool)
    bits = _code_bits(geometry)
    _, seen = slots(geometry)
    low = np.where(seen, 0, -np.inf).astype(np.float32)[:, :, None]
    pivots, signs = (value.reshape(tiles.lanes) for value in (pivot, sign))
    keeps = tiles.spread(keep)
    counted = tiles.per_clip(weight)

    def pooled(h, mean):
        """The largest value of the windows of one mean, and which it was."""
        best = winner = None
        for k in range(windows):
            row = k * means + mean
            value = h[:, row] * signs
            if not seen[row].all():
                value = value + low[row]
            if best is None:
                best, winner = value, jnp.zeros(value.shape, jnp.uint32)
            else:
                winner = jnp.where(value > best, jnp.uint32(k), winner)
                best = jnp.where(value > best, value, best)
        return jnp.maximum(best * signs, 0), winner

    def body(tile, carry):
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
        outputs = zip(outputs, (extreme, winners), strict=True)
        return total, square, *(tiles.put(o, value, tile) for o, value in outputs)

    cells, lanes = tiles.cells, tiles.lanes
    code = jnp.uint16 if bits * means <= 16 else jnp.uint32
    empty = (
        jnp.zeros((tiles.size, cells, lanes)),
        jnp.zeros((tiles.size, cells, lanes)),
        jnp.zeros((tiles.rows, cells, lanes)),
        jnp.zeros((tiles.rows, cells, lanes), code),
    )
    total, square, extreme, winners = lax.fori_loop(0, tiles.count, body, empty)
    # Slots without a pixel hold a zero, and were shifted all the same.
    spare = (tiles.slots * cells - math.prod(geometry.out)) * (weight > 0).sum(1)
    spare = spare[:, None].astype(jnp.float32)
    total = total.sum((0, 1)).reshape(pivot.shape) + spare * pivot
    square = square.sum((0, 1)).reshape(pivot.shape) - spare * jnp.square(pivot)
    return tiles.gather(extreme), total, square, tiles.gather(winners)


def _output_gradient(geometry, tiles, pivot, winners, weight, cotangents):
    """`f(tile, patches)`: the gradient of the convolution's output, a row each."""
    dextreme, dtotal, dsquare = cotangents
    means, bits = math.prod(geometry.average), _code_bits(geometry)
    pooled = np.arange(math.prod(geometry.pool) * means, dtype=np.uint32)
    shift = (pooled % means * bits)[:, None, None].astype(np.uint32)
    window = (pooled // means)[:, None, None]
    codes, dextremes = tiles.spread(winners), tiles.spread(dextreme)
    constant = (dtotal - 2 * dsquare * pivot).reshape(tiles.lanes)
    slope = (2 * dsquare).reshape(tiles.lanes)
    counted = tiles.per_clip(weight)

    def gradient(tile, patches):
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
    geometry, dtype, x, kernel, bias, pivot, winners, weight, *cotangents
):
    tiles = _Tiles(geometry, dtype, x, kernel, bias, weight)
    output_gradient = _output_gradient(
        geometry, tiles, pivot, winners, weight, cotangents
    )

    def body(tile, total):
        patches = tiles.patches(tile)
        dh = output_gradient(tile, patches)
        return total + jnp.dot(patches.T, dh, preferred_element_type=jnp.float32)

    total = lax.fori_loop(
        0, tiles.count, body, jnp.zeros((tiles.taps, tiles.lanes), jnp.float32)
    )
    dkernel, dbias = tiles.unmerge(total)
    return dkernel.reshape(kernel.shape), dbias


def _input_gradient(geometry, dtype, x, *others):
    """[task, b, *space, c], one task after another."""
    size = [n + 2 * p for n, p in zip(geometry.space, geometry.padding, strict=True)]
    inside = tuple(
        slice(p, p + n) for n, p in zip(geometry.space, geometry.padding, strict=True)
    )

    def of_task(args):
        kernel, bias, pivot, winners, weight, *cotangents = (v[None] for v in args)
        tiles = _Tiles(geometry, dtype, x, kernel, bias, weight)
        output_gradient = _output_gradient(
            geometry, tiles, pivot, winners, weight, cotangents
        )
        index = tiles.index.reshape(-1)

        def body(tile, dx):
            dh = output_gradient(tile, tiles.patches(tile))
            dpatches = jnp.dot(dh, tiles.matrix.T, preferred_element_type=jnp.float32)
            rows = jnp.zeros((tiles.size, tiles.flat.shape[1]))
            rows = rows.at[:, index].add(dpatches.reshape(tiles.size, -1))
            return tiles.put(dx, rows, tile)

        dx = lax.fori_loop(0, tiles.count, body, jnp.zeros(tiles.flat.shape))
        dx = dx[: tiles.clips, :-2].reshape(tiles.clips, *size, geometry.inputs)
        return dx[(slice(None), *inside)].astype(x.dtype)

    return lax.map(of_task, others)
