"""Convolution whose lowering suits the device that runs it."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.init import torch_bias, torch_kernel
from jmer.nn.lowering import by_task, cudnn, patches
from jmer.nn.lowering.choice import Lowering, current
from jmer.nn.lowering.folded import folded_kernel
from jmer.nn.lowering.sizes import Pads, Sizes, require_fit


class Conv(nnx.Module):
    """Convolution over one to three spatial axes, channels last.

    Weights start as PyTorch's do, since the published networks were trained with it,
    unless `kernel_init` says otherwise.
    `padding` is the number of zeros on each side of each spatial axis, `dilation` the
    distance between neighbouring elements of the kernel, in pixels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        *,
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        dilation: Sequence[int] | None = None,
        bias: bool = True,
        kernel_init: nnx.Initializer = torch_kernel,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        rank = len(kernel)
        self.strides: Sizes = tuple(strides or (1,) * rank)
        self.padding: Pads = tuple((n, n) for n in padding or (0,) * rank)
        self.dilation: Sizes = tuple(dilation or (1,) * rank)
        self.dtype = dtype
        shape = (*kernel, inputs, outputs)
        fan_in = math.prod(shape[:-1])
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = nnx.data(
            nnx.Param(torch_bias(fan_in)(rngs.params(), (outputs,), jnp.float32))
            if bias
            else None
        )

    @typed
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b *out d"]:
        """What the kernel makes of every place, plus the bias, in the layer's dtype."""
        kernel = self.kernel[...].astype(self.dtype)
        y = conv(
            x.astype(self.dtype), kernel, self.strides, self.padding, self.dilation
        )
        return y if self.bias is None else y + self.bias[...].astype(self.dtype)

    def folded(self, x: Array, n: int, m: int) -> Array:
        """The same without bias and dilation, where `n` pixels of a row share channels,
        and `m` of the result's (`lowering/folded.py`)."""
        if n == m == 1:
            return self(x)
        (before, _), stride = self.padding[-1], self.strides[-1]
        kernel: Array = self.kernel[...].astype(self.dtype)
        out = (x.shape[-2] * n + 2 * before - kernel.shape[-3]) // stride + 1
        kernel, stride, before = folded_kernel(kernel, stride, before, n, m)
        after = (out // m - 1) * stride + kernel.shape[-3] - before - x.shape[-2]
        return conv(
            x.astype(self.dtype),
            kernel,
            (*self.strides[:-1], stride),
            (*self.padding[:-1], (before, after)),
            self.dilation,
        )


def conv(
    x: Array, kernel: Array, strides: Sizes, padding: Pads, dilation: Sizes
) -> Array:
    """Convolution of `x` [b, *space, c] with `kernel` [*window, c, d].

    Raises: ValueError for sizes that do not go with each other.
    """
    if x.shape[-1] != kernel.shape[-2]:
        raise ValueError(
            f"images of {x.shape[-1]} channels, and a kernel for {kernel.shape[-2]}"
        )
    require_fit(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
    lowered = _LOWERED[current()] if x.shape[0] else by_task.plain
    return lowered(x, kernel, strides, padding, dilation)


_LOWERED: dict[Lowering, Callable[[Array, Array, Sizes, Pads, Sizes], Array]] = {
    "backend": by_task.plain,
    "patches": patches.convolve,
    "tpu": by_task.plain,
    "gpu": cudnn.convolve,
}
