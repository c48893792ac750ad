"""A network that segments motion in optical flow."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, Shaped, typed
from jmer.nn.conv import Conv
from jmer.nn.init import glorot
from jmer.nn.pool import max_pool
from jmer.nn.residual import ConvNorm


class MPNet(nnx.Module):
    """How likely each place of a flow field moves by itself, 0 to 1, at a quarter of
    the height and width, which are multiples of 16.

    Tokmakov et al. 2017, with half of its way up again, since Nag et al. 2019 end at a
    quarter: four times convolution and max-pool by 2; twice bilinear resizing by 2,
    beside it what was there on the way down, and convolution; one of 1x1. Channels of
    each stage are from memory of the paper.
    """

    def __init__(
        self, width: int = 64, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        one, two, four, eight = (width * 2**i for i in range(4))
        self.encoder = nnx.List(
            [
                EncoderLayer(2, one, (7, 7), **same),
                EncoderLayer(one, two, (5, 5), **same),
                EncoderLayer(two, four, (3, 3), **same),
                EncoderLayer(four, eight, (3, 3), **same),
            ]
        )
        same["kernel_init"] = glorot
        self.decoder = nnx.List(
            [
                ConvNorm(2 * eight, two, (3, 3), **same),
                ConvNorm(two + four, one, (3, 3), **same),
            ]
        )
        self.mask = Conv(one, 1, (1, 1), **same)

    @typed
    def __call__(
        self,
        x: Float[Array, "b h w 2"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b i j 1"]:
        """How likely each place moves by itself; `x` is as `polar_flow` makes it."""
        options: dict[str, Any] = {"train": train, "weight": weight}
        skips = []
        for layer in self.encoder:
            skips.append(nnx.relu(layer(x, **options)))
            x = max_pool(skips[-1], (2, 2))
        for up, skip in zip(self.decoder, reversed(skips[2:]), strict=True):
            shape = (*skip.shape[:3], x.shape[-1])
            x = jax.image.resize(x, shape, "bilinear").astype(skip.dtype)
            x = nnx.relu(up(jnp.concatenate([x, skip], -1), **options))
        return nnx.sigmoid(self.mask(x).astype(jnp.float32))


class EncoderLayer(nnx.Module):
    """Convolution and batch norm, as `ConvNorm`, with a bias between them.

    In training the normalisation takes it away again, so no gradient reaches it: it is
    there to be read with published weights. (Its true gradient is zero; the rounding of
    one would become steps under RMSprop or Adam.)
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], **options: Any
    ) -> None:
        self.layer = ConvNorm(inputs, outputs, kernel, kernel_init=glorot, **options)
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Array, **options: Any) -> Array:
        y = self.layer.conv(x)
        y = y + lax.stop_gradient(self.bias[...]).astype(y.dtype)
        return self.layer.norm(y, **options)


@typed
def polar_flow(flow: Shaped[Array, "*b h w 2"]) -> Float[Array, "*b h w 2"]:
    """Angle over pi, -1 to 1, and magnitude over the field's largest, 0 where nothing
    moves, as Tokmakov et al. 2017 feed flow.
    """
    flow = flow.astype(jnp.float32)
    angle = jnp.arctan2(flow[..., 1], flow[..., 0]) / jnp.pi
    size = jnp.sqrt(jnp.square(flow).sum(-1))
    largest = size.max((-2, -1), keepdims=True)
    share = size / jnp.where(largest > 0, largest, 1)
    return jnp.stack([angle, share], -1)
