"""Gates that weigh the channels, or the places and moments, of images and clips.

A gate's `explain` returns the weighed values and its weights by name, in float32.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.conv import Conv, conv
from jmer.nn.init import torch_kernel
from jmer.nn.linear import Linear
from jmer.nn.lowering import gated
from jmer.nn.lowering.choice import current
from jmer.nn.lowering.folded import fold, unfold
from jmer.nn.pool import max_along
from jmer.nn.residual import FoldedGate, Gate

Shared = Literal["conv", "mlp"]


class ChannelGate(nnx.Module):
    """x times sigmoid(g(mean of x) + g(maximum of x)), over all of space and time.

    g is two layers without bias and a ReLU between them, of `channels / reduction`
    units. Woo et al. 2018 (CBAM), eq. 2. `shared` makes them convolutions of one pixel
    along each of `rank` axes (`conv`) or linear layers (`mlp`): the same function of
    the same number of weights.

    Raises: ValueError if `reduction` does not divide `channels`.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        shared: Shared = "conv",
        rank: int,
        kernel_init: nnx.Initializer = torch_kernel,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if channels % reduction:
            raise ValueError(f"{reduction=} must divide {channels=}")
        same: dict[str, Any] = {
            "bias": False,
            "kernel_init": kernel_init,
            "dtype": dtype,
            "rngs": rngs,
        }

        def layer(inputs: int, outputs: int) -> nnx.Module:
            if shared == "mlp":
                return Linear(inputs, outputs, **same)
            return Conv(inputs, outputs, (1,) * rank, **same)

        self.squeeze = layer(channels, channels // reduction)
        self.excite = layer(channels // reduction, channels)

    @typed
    def explain(
        self, x: Float[Array, "b *space c"]
    ) -> tuple[Float[Array, "b *space c"], dict[str, Array]]:
        """The result, and `channel` [b, c], 0 to 1."""
        return self.folded(x, 1)

    def folded(self, x: Array, n: int) -> tuple[Array, dict[str, Array]]:
        """The same where `n` pixels share channels (`lowering/folded.py`)."""
        if current() == "tpu":
            pooled = gated.over_places(x, n)
        else:
            rows = x.reshape(x.shape[0], -1, x.shape[-1]).astype(jnp.float32)
            pooled = rows.mean(1), max_along(rows, 1)[:, 0]
        ones = (1,) * (x.ndim - 2)
        mean, maximum = (
            self._shared(p.reshape(len(p), *ones, p.shape[-1])) for p in pooled
        )
        weight = nnx.sigmoid(mean + maximum)
        y = x * jnp.tile(weight, n).astype(x.dtype)
        return y, {"channel": weight.reshape(len(weight), -1)}

    def _shared(self, pooled: Array) -> Array:
        return self.excite(nnx.relu(self.squeeze(pooled))).astype(jnp.float32)


class SpaceTimeGate(nnx.Module):
    """x times sigmoid(convolution of the mean and the maximum over the channels).

    Woo et al. 2018 (CBAM), eq. 3, with as many axes as `kernel` has; each of its sizes
    is odd, and the convolution has no bias.
    """

    def __init__(
        self,
        kernel: Sequence[int],
        *,
        kernel_init: nnx.Initializer = torch_kernel,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = Conv(
            2,
            1,
            kernel,
            padding=[n // 2 for n in kernel],
            bias=False,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )

    @typed
    def explain(
        self, x: Float[Array, "b *space c"]
    ) -> tuple[Float[Array, "b *space c"], dict[str, Array]]:
        """The result, and `space_time`, 0 to 1, of the shape of x without channels."""
        if current() == "tpu":
            return self.folded(x, 1)
        wide = x.astype(jnp.float32)
        planes = wide.mean(-1), max_along(wide, -1)[..., 0]
        if current() == "gpu":
            score = self._by_rows(*planes)
        else:
            score = self.conv(jnp.stack(planes, -1))[..., 0]
        weight = nnx.sigmoid(score.astype(jnp.float32))
        return x * weight[..., None].astype(x.dtype), {"space_time": weight}

    def folded(self, x: Array, n: int) -> tuple[Array, dict[str, Array]]:
        """The same on a TPU, where `n` pixels share channels."""
        score = self._by_rows(*gated.over_channels(x, n))
        weight = nnx.sigmoid(score.astype(jnp.float32))
        return gated.weighed(x, weight, n), {"space_time": weight}

    def _by_rows(self, *planes: Array) -> Array:
        """What the convolution makes of them, its kernel a matrix of whole rows."""
        kernel, dtype = self.conv.kernel[...], self.conv.dtype
        return gated.rows_convolved(planes, kernel, dtype, conv)


class Gates(nnx.Module):
    """Gates one after another."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = nnx.List(gates)

    def explain(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """The result, and the weights of all."""
        return self.folded(x, 1)

    def folded(self, x: Array, n: int) -> tuple[Array, dict[str, Array]]:
        """The same where `n` pixels share channels (`lowering/folded.py`)."""
        shown: dict[str, Array] = {}
        for gate in self.gates:
            if n > 1 and isinstance(gate, FoldedGate):
                x, weights = gate.folded(x, n)
            else:
                y, weights = gate.explain(unfold(x, n))
                x = fold(y, n)
            shown |= weights
        return x, shown
