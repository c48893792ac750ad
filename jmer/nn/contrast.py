"""What neighbouring frames have in contrast to one another."""

from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx

from jmer.arrays import Array
from jmer.nn.conv import Conv
from jmer.nn.init import glorot
from jmer.nn.linear import Linear

Context = Literal["dilated", "gap"]


class TimeContrast(nnx.Module):
    """Three differences between each frame and the next: local features less the
    next's context, local less local, and the next's local features less context.

    Nag et al. 2019, equations 1 to 3, after Ding et al. 2018. Local features are a
    convolution of 3x3 pixels; `context` is one of pixels that lie `dilation` apart, or
    a linear layer of the mean over the image. Neither has a bias.
    """

    def __init__(
        self, channels: int, context: Context, dilation: int = 3, **options: Any
    ) -> None:
        options = {"bias": False, "kernel_init": glorot, **options}
        sizes = channels, channels, (3, 3)
        apart = dilation, dilation
        self.local = Conv(*sizes, padding=(1, 1), **options)
        self.context: nnx.Module = (
            Conv(*sizes, padding=apart, dilation=apart, **options)
            if context == "dilated"
            else Linear(channels, channels, **options)
        )

    def __call__(self, x: Array) -> list[Array]:
        """Three of [b, t-1, i, j, c], of maps [b, t, i, j, c]."""
        b, t = x.shape[:2]
        each = x.reshape(b * t, *x.shape[2:])
        local = self.local(each).reshape(x.shape)
        if isinstance(self.context, Linear):
            each = each.astype(jnp.float32).mean((1, 2), keepdims=True)
            context = self.context(each).reshape(b, t, 1, 1, -1)
        else:
            context = self.context(each).reshape(x.shape)
        return [
            local[:, :-1] - context[:, 1:],
            local[:, :-1] - local[:, 1:],
            local[:, 1:] - context[:, :-1],
        ]
