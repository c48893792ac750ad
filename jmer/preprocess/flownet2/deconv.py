"""Transposed convolution that doubles the size."""

import jax.numpy as jnp
from flax import nnx

from jmer.arrays import Array, Float, typed
from jmer.nn.conv import conv
from jmer.nn.init import torch_bias, torch_kernel


class Deconv(nnx.Module):
    """PyTorch's `ConvTranspose2d` of kernel 4, stride 2 and padding 1, channels last.

    `kernel` is [4, 4, c, d] with rows and columns in PyTorch's order.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, rngs: nnx.Rngs):
        shape = (4, 4, inputs, outputs)
        self.kernel = nnx.Param(torch_kernel(rngs.params(), shape, jnp.float32))
        start = torch_bias(16 * outputs)
        self.bias = nnx.data(
            nnx.Param(start(rngs.params(), (outputs,), jnp.float32)) if bias else None
        )

    @typed
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W d"]:
        b, h, w, _ = x.shape
        kernel, both = self.kernel[...], (0, 1)
        # Row 2i + p of the result is the sum of rows i - 1 + p and i + p of the input
        # through rows 3 - p and 1 - p of the kernel, and columns likewise: one
        # convolution of 2 x 2 without the zeros that a dilated input would have.
        phases = [kernel[3 - p :: -2, 3 - q :: -2] for p in both for q in both]
        whole = conv(
            x,
            jnp.concatenate(phases, axis=-1),
            strides=(1, 1),
            padding=((1, 1), (1, 1)),
            dilation=(1, 1),
        ).reshape(b, h + 1, w + 1, 2, 2, -1)
        rows = [
            jnp.stack([whole[:, p : p + h, q : q + w, p, q] for q in both], axis=3)
            for p in both
        ]
        y = jnp.stack(rows, axis=2).reshape(b, 2 * h, 2 * w, -1)
        return y if self.bias is None else y + self.bias[...]
