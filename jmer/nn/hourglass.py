"""Attention over space by an hourglass."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.conv import Conv
from jmer.nn.init import kaiming
from jmer.nn.pool import max_pool
from jmer.nn.residual import ConvNorm


class HourglassMask(nnx.Module):
    """A weight in (0, 1) for each place of an image of `channels` features.

    After Newell et al. 2016: `levels` times convolution and max-pool by 2, a
    convolution at the bottom, and as many times up again: bilinear resizing, the sum
    with what was there on the way down, convolution. Every convolution is 3x3 with
    batch norm and ReLU. One of 1x1 makes `outputs` masks of it.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        levels: int = 3,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}

        def layers() -> nnx.List:
            return nnx.List(
                ConvNorm(channels, channels, (3, 3), **same) for _ in range(levels)
            )

        self.down = layers()
        self.bottom = ConvNorm(channels, channels, (3, 3), **same)
        self.up = layers()
        self.mask = Conv(channels, outputs, (1, 1), kernel_init=kaiming, **same)

    @typed
    def __call__(
        self,
        x: Float[Array, "b h w c"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b h w d"]:
        """The mask of `x`, 0 to 1."""

        def convolve(layer: ConvNorm, x: Array) -> Array:
            return nnx.relu(layer(x, train=train, weight=weight))

        skips = []
        for layer in self.down:
            skips.append(convolve(layer, x))
            x = max_pool(skips[-1], (2, 2))
        x = convolve(self.bottom, x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = convolve(layer, jax.image.resize(x, skip.shape, "bilinear") + skip)
        return nnx.sigmoid(self.mask(x).astype(jnp.float32))
