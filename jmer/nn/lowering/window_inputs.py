"""What max-pool windows see of their input, and a kernel in its places there.

Windows of all clips lie along one axis, the last: cells, then their clips.
"""

import functools
import itertools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array
from jmer.nn.lowering.sizes import Sizes
from jmer.nn.lowering.slots import Geometry, slots


def _extent(geometry: Geometry) -> Sizes:
    """Input pixels that a max-pool window sees along each axis."""
    axes = zip(geometry.pool, geometry.strides, geometry.window, strict=True)
    return tuple((p - 1) * s + k for p, s, k in axes)


def images_of(geometry: Geometry, dtype: DTypeLike, x: Array) -> Array:
    """[*space, b] of [b, *space, c], the channels of neighbours beside each other."""
    *outer, width = geometry.space
    x = x.reshape(x.shape[0], *outer, width * geometry.inputs)
    return jnp.moveaxis(x, 0, -1).astype(dtype)


def filled(value: Array, multiple: int) -> Array:
    """With zeros behind, along the last axis."""
    more = -value.shape[-1] % multiple
    return jnp.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, more)])


def windows_of(geometry: Geometry, x: Array, multiple: int) -> list[Array]:
    """For each place of the mean, what its windows see of `x` [*space, b]:
    [input + 1, cell * b]. The last input is a one, which the bias multiplies.
    """
    g, rank, clips = geometry, len(geometry.space), x.shape[-1]
    unit = [1] * (rank - 1) + [g.inputs]  # numbers of a pixel along each axis
    steps = [p * s * u for p, s, u in zip(g.pool, g.strides, unit, strict=True)]
    extents = [e * u for e, u in zip(_extent(g), unit, strict=True)]
    counts = [c * m for c, m in zip(g.cells, g.average, strict=True)]
    pads, shape = [], []
    for i in range(rank):
        blocks = counts[i] + -(-extents[i] // steps[i]) - 1
        low = (g.padding[i] + g.pool_padding[i] * g.strides[i]) * unit[i]
        pads.append((low, blocks * steps[i] - x.shape[i] - low, 0))
        shape += [blocks, steps[i]]
    x = lax.pad(x, jnp.zeros((), x.dtype), [*pads, (0, 0, 0)]).reshape(*shape, clips)
    # Windows advance by a block of pixels, and reach into the blocks after it.
    for i, (extent, step, count) in enumerate(zip(extents, steps, counts, strict=True)):
        parts = []
        for block in range(-(-extent // step)):
            part = lax.slice_in_dim(x, block, block + count, axis=2 * i)
            taps = min(step, extent - block * step)
            parts.append(lax.slice_in_dim(part, 0, taps, axis=2 * i + 1))
        x = jnp.concatenate(parts, axis=2 * i + 1)
    split = zip(g.cells, g.average, extents, strict=True)
    x = x.reshape(*itertools.chain(*split), clips)
    # [*(cell, mean, input), b] to [*mean, *input, *cell, b]
    order = [3 * i + k for k in (1, 2, 0) for i in range(rank)]
    x = x.transpose(*order, 3 * rank)
    x = x.reshape(math.prod(g.average), math.prod(extents), -1)
    one = jnp.ones((1, x.shape[-1]), x.dtype)
    return [filled(jnp.concatenate([each, one]), multiple) for each in x]


def kernel_places(geometry: Geometry, kernel: Array) -> Array:
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
def valid_outputs(geometry: Geometry) -> np.ndarray:
    """[mean, place, cell]: whether there is such an output."""
    _, seen = slots(geometry)
    windows, means = math.prod(geometry.pool), math.prod(geometry.average)
    return seen.reshape(windows, means, -1).swapaxes(0, 1)


@functools.cache
def rest_pixels(geometry: Geometry) -> np.ndarray:
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


def rest_of(geometry: Geometry, x: Array, multiple: int) -> Array | None:
    """[input + 1, pixel * b] of the pixels that no window has, if there are any."""
    index = rest_pixels(geometry)
    if not index.size:
        return None
    pads = [(p, p, 0) for p in geometry.padding]
    low, high, _ = pads[-1]
    pads[-1] = (low * geometry.inputs, high * geometry.inputs, 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), [*pads, (0, 0, 0)])
    seen = x.reshape(-1, x.shape[-1])[index.reshape(-1)].reshape(len(index), -1)
    seen = jnp.concatenate([seen, jnp.ones((1, seen.shape[1]), x.dtype)])
    return filled(seen, multiple)
