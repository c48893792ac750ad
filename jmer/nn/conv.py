"""Convolution whose lowering suits the device that runs it."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.init import torch_bias, torch_kernel

Strides = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]


class Conv(nnx.Module):
    """Convolution over any number of spatial axes, channels last.

    Weights start as PyTorch's do, since the published networks were trained with it.
    `padding` is the number of zeros on each side of each spatial axis.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        rank = len(kernel)
        self.strides: Strides = tuple(strides or (1,) * rank)
        self.padding: Padding = tuple((n, n) for n in padding or (0,) * rank)
        self.dtype = dtype
        shape = (*kernel, inputs, outputs)
        fan_in = math.prod(shape[:-1])
        self.kernel = nnx.Param(torch_kernel(rngs.params(), shape, jnp.float32))
        self.bias = nnx.data(
            nnx.Param(torch_bias(fan_in)(rngs.params(), (outputs,), jnp.float32))
            if bias
            else None
        )

    @typed
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *out d"]:
        kernel = self.kernel[...].astype(self.dtype)
        y = conv(x.astype(self.dtype), kernel, self.strides, self.padding)
        return y if self.bias is None else y + self.bias[...].astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv(x: Array, kernel: Array, strides: Strides, padding: Padding) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d].

    On a CPU it is a product of patches with the kernel matrix: XLA's own weight
    gradient is about 30 times slower there at 28x28x3, and so is any convolution
    inside a loop. Elsewhere it is the backend's convolution. The gradient keeps `x`
    and the kernel only, and builds the patches again.
    """
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_patch_product, strides=strides, padding=padding),
        default=functools.partial(_convolve, strides=strides, padding=padding),
    )


def _forward(x, kernel, strides, padding):
    return conv(x, kernel, strides, padding), (x, kernel)


def _backward(strides, padding, residuals, dy):
    x, kernel = residuals

    # Two calls, so that the compiler can drop the input gradient of a first layer.
    def input_gradient(lowering, x, kernel, dy):
        _, pull = jax.vjp(lambda a: lowering(a, kernel, strides, padding), x)
        return pull(dy)[0]

    def kernel_gradient(lowering, x, kernel, dy):
        _, pull = jax.vjp(lambda a: lowering(x, a, strides, padding), kernel)
        return pull(dy)[0]

    return tuple(
        lax.platform_dependent(
            x,
            kernel,
            dy,
            cpu=functools.partial(gradient, _patch_product),
            default=functools.partial(gradient, _convolve),
        )
        for gradient in (input_gradient, kernel_gradient)
    )


conv.defvjp(_forward, _backward)


def _convolve(x, kernel, strides, padding):
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


def _patch_product(x, kernel, strides, padding):
    return _patches(x, kernel.shape[:-2], strides, padding) @ kernel.reshape(
        -1, kernel.shape[-1]
    )


def _patches(x, window, strides, padding):
    """[b, *out, window * c]: the inputs of each output, in the kernel's order."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    out = [
        (n - k) // s + 1 for n, k, s in zip(x.shape[1:-1], window, strides, strict=True)
    ]
    shifted = []
    for offset in np.ndindex(*window):
        index = tuple(
            slice(o, o + (n - 1) * s + 1, s)
            for o, n, s in zip(offset, out, strides, strict=True)
        )
        shifted.append(x[(slice(None), *index)])
    return jnp.concatenate(shifted, axis=-1)
