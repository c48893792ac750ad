"""Convolution as matrix products, the program that suits a CPU.

A convolution equals one of stride 1 between blocks of pixels: along each axis some
neighbouring outputs become one output block, and the inputs that they advance over
become one input block, whose pixels and channels are the features of a matrix product.
Blocks make the products of few channels wider and their patches smaller, at the price
of the zeros in the kernel between blocks.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering import winograd
from jmer.nn.lowering.correlate import Ends, correlate, indices
from jmer.nn.lowering.sizes import Pads, Sizes

WHOLE = 0
"""The tile that makes a single block of an axis: a dense product, without patches."""
FEW = 8  # channels up to which a product is narrow
WIDE = 5  # pixels of a window from which on blocks are square
SHORT = 4  # frames of a clip that are worth multiplying densely
DENSE = 2
"""Elements of a kernel between all pixels, for each of a window's, up to which it pays:
what lies beyond the edges of a small image is then left out."""


class Plan(NamedTuple):
    """How a convolution becomes a product."""

    tile: Sizes
    """Outputs of a block along each axis."""
    summed: int
    """First axes of the window that are summed afterwards (`correlate`)."""


def convolve(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d]."""
    if (sums := winograd.plan(x, kernel, strides, dilation)) is not None:
        return winograd.convolve(x, kernel, padding, *sums)
    found = plan(x.shape[1:-1], kernel.shape, strides, dilation)
    if found is None:
        return by_taps(x, kernel, strides, padding, dilation)
    return by_blocks(
        x, kernel, strides, padding, dilation, found.tile, summed=found.summed
    )


def plan(space: Sizes, kernel: Sizes, strides: Sizes, dilation: Sizes) -> Plan | None:
    """What was fastest, forward and backward, in small networks on a core with AVX-512
    (`experiments/benchmarks/cpu.md`); None for taps."""
    *window, channels, outputs = kernel
    rank = len(window)
    single = (1,) * rank
    if math.prod(window) == 1 or max(dilation) > 1:
        return None
    pairs = math.prod(n * -(-n // s) for n, s in zip(space, strides, strict=True))
    if pairs <= DENSE * math.prod(window):
        return Plan((WHOLE,) * rank, 0)
    if rank == 2 and channels < FEW:
        if min(window) >= WIDE:
            return Plan((2, 2), 1 if outputs < FEW else 0)
        if outputs < FEW:
            return Plan((1, 2), 0)
        return Plan(single if max(strides) > 1 else (2, 2), 0)
    if rank == 3 and channels < FEW:
        return Plan((1, 2, 2), 1)
    if max(strides) > 1:
        return Plan(single, 0)
    if rank == 3 and space[0] <= SHORT:
        return Plan((WHOLE, 1, 1), 0)
    if rank == 3:
        return Plan((1, 1, 2 if channels <= FEW else 1), 1)
    narrow = channels <= (2 * FEW if rank == 1 else FEW)
    return Plan((*single[1:], 2 if narrow else 1), 0)


def by_taps(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """The sum, over the pixels of the window, of their products with the kernel."""
    window = kernel.shape[:-2]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    out = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:-1], window, strides, dilation, strict=True)
    ]
    products = []
    for tap in indices(window):
        seen = tuple(
            slice(i * d, i * d + (o - 1) * s + 1, s)
            for i, o, s, d in zip(tap, out, strides, dilation, strict=True)
        )
        products.append(x[(slice(None), *seen)] @ kernel[tap])
    return sum(products[1:], products[0])


def by_blocks(
    x: Array,
    kernel: Array,
    strides: Sizes,
    padding: Pads,
    dilation: Sizes,
    tile: Sizes,
    summed: int = 0,
) -> Array:
    """The same between blocks of `tile` outputs along each axis; the places of the
    first `summed` axes are summed last (`correlate`)."""
    sizes = zip(
        x.shape[1:-1], kernel.shape, strides, padding, dilation, tile, strict=False
    )
    cuts = [AxisBlocks.of(*axis) for axis in sizes]
    ends = Ends(
        tuple(cut.inputs for cut in cuts),
        tuple(cut.inputs if i < summed else cut.last for i, cut in enumerate(cuts)),
    )
    blocks = _into_blocks(x, cuts), _between_blocks(kernel, cuts)
    y = correlate(*blocks, summed, None if ends.block == ends.last else ends)
    return _out_of_blocks(y, cuts)


def blocked(
    x: Array, kernel: Array, strides: Sizes, padding: Pads
) -> tuple[Array, Array]:
    """`x` [b, *blocks, pixels * c] in blocks of as many pixels as the convolution
    advances by, and the kernel between them: with stride 1 and no padding, the same."""
    axes = zip(x.shape[1:-1], kernel.shape, strides, padding, strict=False)
    cuts = [AxisBlocks.of(*axis, dilation=1, tile=1) for axis in axes]
    return _into_blocks(x, cuts), _between_blocks(kernel, cuts)


@dataclass(frozen=True)
class AxisBlocks:
    """How one axis is cut into blocks."""

    inputs: int
    """Pixels of an input block."""
    outputs: int
    """Pixels of an output block."""
    reach: int
    """Input blocks, one after the other, that an output block reads."""
    last: int
    """Pixels that it reads of the last of them."""
    blocks: int
    """Input blocks in all."""
    low: int
    """Zeros in front of the input."""
    length: int
    """Pixels of the output."""
    shifts: tuple[int, ...]
    """Where each output of a block begins to read, in pixels from its first input."""
    dilation: int

    @classmethod
    def of(
        cls,
        n: int,
        taps: int,
        stride: int,
        pad: tuple[int, int],
        dilation: int,
        tile: int,
    ) -> "AxisBlocks":
        low, high = pad
        extent = (taps - 1) * dilation + 1
        length = (low + n + high - extent) // stride + 1
        if tile == WHOLE:
            shifts = tuple(o * stride - low for o in range(length))
            return cls(n, length, 1, n, 1, 0, length, shifts, dilation)
        tile = min(tile, length)
        inputs = tile * stride
        shifts = tuple(o * stride for o in range(tile))
        reach = -(-(shifts[-1] + extent) // inputs)
        last = shifts[-1] + extent - (reach - 1) * inputs
        blocks = -(-length // tile) + reach - 1
        return cls(inputs, tile, reach, last, blocks, low, length, shifts, dilation)


def _into_blocks(x: Array, cuts: list[AxisBlocks]) -> Array:
    """[b, *blocks, inputs * c] of [b, *space, c]."""
    b, *space, c = x.shape
    pads = [
        (cut.low, cut.blocks * cut.inputs - n - cut.low, 0)
        for n, cut in zip(space, cuts, strict=True)
    ]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    x = x.reshape(b, *itertools.chain(*((a.blocks, a.inputs) for a in cuts)), c)
    rank = len(cuts)
    x = x.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    return x.reshape(b, *(cut.blocks for cut in cuts), -1)


def _out_of_blocks(y: Array, cuts: list[AxisBlocks]) -> Array:
    """[b, *out, d] of [b, *blocks, outputs * d]."""
    b, *blocks, _ = y.shape
    rank = len(cuts)
    y = y.reshape(b, *blocks, *(cut.outputs for cut in cuts), -1)
    pairs = ((1 + i, 1 + rank + i) for i in range(rank))
    y = y.transpose(0, *itertools.chain(*pairs), 1 + 2 * rank)
    whole = (n * cut.outputs for n, cut in zip(blocks, cuts, strict=True))
    y = y.reshape(b, *whole, y.shape[-1])
    return y[(slice(None), *(slice(cut.length) for cut in cuts))]


def _between_blocks(kernel: Array, cuts: list[AxisBlocks]) -> Array:
    """[*reach, inputs * c, outputs * d] of [*window, c, d]: the kernel of each output
    in its place among the inputs, zeros elsewhere.
    """
    rank, c = len(cuts), kernel.shape[-2]
    for axis, cut in enumerate(cuts):
        extent = (kernel.shape[axis] - 1) * cut.dilation + 1
        total = cut.reach * cut.inputs
        placed = []
        for shift in cut.shifts:
            pads = [(0, 0, 0)] * kernel.ndim
            pads[axis] = (shift, total - shift - extent, cut.dilation - 1)
            placed.append(lax.pad(kernel, jnp.zeros((), kernel.dtype), pads))
        kernel = jnp.stack(placed, axis=-2)  # [*window, c, *outputs so far, d]
    split = itertools.chain(*((cut.reach, cut.inputs) for cut in cuts))
    kernel = kernel.reshape(*split, c, -1)
    kernel = kernel.transpose(
        *range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1
    )
    inputs = math.prod(cut.inputs for cut in cuts) * c
    return kernel.reshape(*(cut.reach for cut in cuts), inputs, -1)
