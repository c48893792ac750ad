"""Convolution with windows of 3 by fewer products.

Winograd 1980; Lavin & Gray 2016, Fast algorithms for convolutional neural networks,
section 4. Two neighbouring outputs along an axis see four inputs, and take six products
with a kernel of 3. Four sums of the inputs times four sums of the kernel make do with
four: F(2, 3). Along two axes 16 products are left of 36, and as many patches. In
float32 that costs a rounding or two, of the largest of the inputs that are added: one
of a million among ones leaves its neighbours few digits, and numbers beyond 1e37 may
overflow.
"""

import math

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array
from jmer.nn.lowering.correlate import correlate
from jmer.nn.lowering.sizes import Pads, Sizes

TAPS = 3
MANY = 16  # channels, in and out, from which sums are cheap beside the products
LONG = 4  # pixels, or frames, of which few enough outputs lie beyond the end
WORTH = (5e6, 3e7)
"""Multiplications of patches from which what is saved along one axis, and along two,
is worth the longer compiling."""


def plan(
    x: Array, kernel: Array, strides: Sizes, dilation: Sizes
) -> tuple[Sizes, int] | None:
    """The axes along which `convolve` was fastest, forward and backward, and those that
    are summed, on a core with AVX-512 (`experiments/benchmarks/cpu.md`); None where
    products of patches were, or numbers of 16 bits would lose by it."""
    space, (*window, channels, outputs) = x.shape[1:-1], kernel.shape
    rank, one, two = len(window), *WORTH
    if x.dtype.itemsize < 4 or {*window} != {TAPS} or max(*strides, *dilation) > 1:
        return None
    many = math.prod(x.shape[:-1]) * kernel.size
    if min(channels, outputs) < MANY or rank == 1 or many < one:
        return None
    if (space[0] if rank == 3 else min(space)) < LONG:
        return None
    if many < two or (rank == 2 and channels == MANY):
        return (rank - 1,), rank - 2
    return (0, rank - 1), 0


def convolve(
    x: Array, kernel: Array, padding: Pads, axes: Sizes, summed: int = 0
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d] of stride 1, in
    this way along some `axes` of space, where the window has 3; the first `summed` axes
    are summed afterwards (`correlate`), and are none of them."""
    window, space = kernel.shape[:-2], x.shape[1:-1]
    pads, out = [], []
    for axis, (n, k, (low, high)) in enumerate(
        zip(space, window, padding, strict=True)
    ):
        length = n + low + high - k + 1
        out.append(length)
        pads.append((low, high + (length % 2 if axis in axes else 0), 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    y = _by_sums(x, kernel, axes, summed)
    return y[(slice(None), *(slice(n) for n in out))]


def _by_sums(x: Array, kernel: Array, axes: Sizes, summed: int) -> Array:
    """Of padded `x`, whose outputs are even in number along the axes."""
    if not axes:
        return correlate(x, kernel, summed)
    axis, *rest = axes
    sums = zip(_of_inputs(x, axis + 1), _of_kernel(kernel, axis), strict=True)
    return _outputs([_by_sums(*pair, tuple(rest), summed) for pair in sums], axis + 1)


def _of_inputs(x: Array, axis: int) -> list[Array]:
    """What is multiplied, for every second output."""
    x = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
    even, odd = (lax.index_in_dim(x, i, axis + 1, keepdims=False) for i in range(2))
    n = even.shape[axis] - 1
    (a, c), (b, d) = (
        (lax.slice_in_dim(v, 0, n, axis=axis), lax.slice_in_dim(v, 1, n + 1, axis=axis))
        for v in (even, odd)
    )
    return [a - c, b + c, c - b, b - d]


def _of_kernel(kernel: Array, axis: int) -> list[Array]:
    a, b, c = jnp.split(kernel, TAPS, axis)
    return [a, (a + b + c) / 2, (a - b + c) / 2, c]


def _outputs(products: list[Array], axis: int) -> Array:
    p, q, r, s = products
    y = jnp.stack([p + q + r, q - r - s], axis + 1)
    return y.reshape(*y.shape[:axis], -1, *y.shape[axis + 2 :])
