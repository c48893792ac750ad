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
from jmer.nn.lowering import current

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


def conv(x: Array, kernel: Array, strides: Strides, padding: Padding) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d]."""
    lower = _convolve if current() == "backend" else _patch_product
    return lower(x, kernel, strides, padding)


def _convolve(x, kernel, strides, padding):
    space = "DHW"[-len(strides) :]
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _patch_product(x, kernel, strides, padding):
    return _product(x, kernel, strides, padding)


def _product(x, kernel, strides, padding):
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return _patches(x, kernel.shape[:-2], strides, padding) @ matrix


def _forward(x, kernel, strides, padding):
    return _product(x, kernel, strides, padding), (x, kernel)


def _backward(strides, padding, residuals, dy):
    # The patches are built again: they are many times the size of the input.
    _, pull = jax.vjp(lambda *a: _product(*a, strides, padding), *residuals)
    return pull(dy)


_patch_product.defvjp(_forward, _backward)


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
