"""Convolution as cuDNN has fast kernels for it, the program that suits a GPU.

On an H200, of what MERANet's took (`experiments/benchmarks/h200.md`): kernels for
channels that are no multiple of 8 ran at a tenth of the rate of others, and the
gradient of a kernel at a third of it where the result is no longer than the window
along some axis.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmer.arrays import Array
from jmer.nn.lowering.by_task import by_task, plain
from jmer.nn.lowering.correlate import patches_of
from jmer.nn.lowering.patches import blocked
from jmer.nn.lowering.sizes import Pads, Sizes
from jmer.nn.lowering.transposed import transposed_product

WORTH = 3e7
"""Multiplications of a task that take as long among groups as a launch does, some 10
microseconds."""
ALIGNED = 8  # channels of which a multiple is fast
MOST = 2**25  # elements of patches that a product is to be made of


def convolve(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d]."""
    rank = len(strides)
    if _is_stem(x, strides, dilation):
        x, kernel = blocked(x, kernel, strides, padding)
        x, kernel = _aligned(x, -1), _aligned(kernel, -2)
        strides, padding = (1,) * rank, ((0, 0),) * rank
    y = jax.eval_shape(lambda: plain(x, kernel, strides, padding, dilation))
    large = y.size * math.prod(kernel.shape[:-1]) >= WORTH
    short = max(*strides, *dilation) == 1 and _is_short(y.shape, kernel.shape)
    if not (large or short):
        return plain(x, kernel, strides, padding, dilation)
    return _convolution(strides, padding, dilation, large, short)(x, kernel)


def _is_stem(x: Array, strides: Sizes, dilation: Sizes) -> bool:
    """Whether neighbouring pixels of a few channels are to become one of more."""
    return x.shape[-1] < ALIGNED and max(strides) > 1 and max(dilation) == 1


def _is_short(out: Sizes, kernel: Sizes) -> bool:
    """Whether XLA has the kernel's gradient computed by a convolution with the result's
    as a kernel, and patches of the input are few enough to multiply instead."""
    *window, channels, _ = kernel
    places, pixels = out[1:-1], math.prod(window)
    tight = any(n <= k for n, k in zip(places, window, strict=True))
    few = math.prod(out[:-1]) * pixels * channels <= MOST
    return pixels > 1 and tight and few


def _aligned(a: Array, axis: int) -> Array:
    """With zeros after it, so that the axis is a multiple of `ALIGNED`."""
    pads = [(0, 0)] * a.ndim
    pads[axis] = (0, -a.shape[axis] % ALIGNED)
    return jnp.pad(a, pads)


@functools.cache
def _convolution(
    strides: Sizes, padding: Pads, dilation: Sizes, large: bool, short: bool
) -> Callable[[Array, Array], Array]:
    of = functools.partial(plain, strides=strides, padding=padding, dilation=dilation)
    each = by_task if large else lambda function: function
    forward = each(of)

    # JAX cannot transpose what is mapped by a rule of its own: gradients are written
    # out, each apart, so that the compiler drops the one that nobody asks for.
    @functools.cache
    def gradients(
        x: jax.ShapeDtypeStruct, kernel: jax.ShapeDtypeStruct
    ) -> tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]:
        def of_input(dy: Array, kernel: Array) -> Array:
            (dx,) = jax.linear_transpose(lambda x: of(x, kernel), x)(dy)
            return dx

        def of_kernel(dy: Array, x: Array) -> Array:
            (dkernel,) = jax.linear_transpose(lambda k: of(x, k), kernel)(dy)
            return dkernel

        def product(dy: Array, x: Array) -> Array:
            """XLA has this done by cuDNN's convolution there, with `dy` as a kernel."""
            x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
            rows = patches_of(x, kernel.shape[:-2])
            flat = (a.reshape(-1, a.shape[-1]) for a in (rows, dy))
            return transposed_product(*flat).reshape(kernel.shape)

        return each(of_input), product if short else each(of_kernel)

    @jax.custom_vjp
    def convolution(x: Array, kernel: Array) -> Array:
        return forward(x, kernel)

    def there(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        return forward(x, kernel), (x, kernel)

    def back(saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
        x, kernel = saved
        of_input, of_kernel = gradients(jax.typeof(x), jax.typeof(kernel))
        return of_input(dy, kernel), of_kernel(dy, x)

    convolution.defvjp(there, back)
    return convolution
