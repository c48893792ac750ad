"""STSTNet: shallow triple-stream three-dimensional CNN."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck
from jmer.models.base import NetworkConfig
from jmer.weights.torch_names import PathArrays, TorchState


@dataclasses.dataclass(frozen=True)
class STSTNetConfig(NetworkConfig):
    """STSTNet (Liong et al. 2019): three shallow streams over onset-to-apex flow."""

    name: ClassVar[str] = "ststnet"
    paper: ClassVar[str] = (
        "Liong, Gan, See, Khor, Huang. Shallow Triple Stream Three-dimensional CNN "
        "(STSTNet) for Micro-expression Recognition. FG 2019"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 1_683,
        "trained": 1_683,
        "input": "apex_flow 28x28x3",
    }
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    small_size: ClassVar[Mapping[str, Any]] = {"size": 28}

    filters: tuple[int, ...] = (3, 5, 8)
    """Filters of each stream (section III-B)."""
    size: int = 28
    """Height and width of the flow image, in pixels."""
    dropout: float = 0.5
    """Share of pooled values dropped in training, 0 to below 1."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.must("size", self.size >= 4, "be at least 4 pixels")
        fits = bool(self.filters) and min(self.filters) >= 1
        check.must("filters", fits, "be positive")
        check.share("dropout")

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.size, self.size, 3),)

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "STSTNet":
        return STSTNet(self, classes, dtype=dtype, rngs=rngs)

    def from_torch(self, state: TorchState) -> PathArrays:
        """The published checkpoints, trained on images in BGR order.

        Three streams become one convolution; kernels go from [d, c, h, w] to
        [h, w, c, d] with the channels turned round, since jmer stores horizontal flow
        (red) first; the head, from channels-first features to channels-last ones.
        """

        def streams(name: str) -> np.ndarray:
            return np.concatenate([state[name.format(i)] for i in (1, 2, 3)])

        kernel = streams("conv{}.weight").transpose(2, 3, 1, 0)[:, :, ::-1]
        head = state["fc.weight"]
        channels = kernel.shape[-1]
        side = round((head.shape[1] / channels) ** 0.5)
        head = head.reshape(-1, channels, side, side).transpose(2, 3, 1, 0)
        return {
            "params.block.conv.kernel": np.ascontiguousarray(kernel),
            "params.block.conv.bias": streams("conv{}.bias"),
            "params.block.norm.scale": streams("bn{}.weight"),
            "params.block.norm.bias": streams("bn{}.bias"),
            "params.head.kernel": head.reshape(-1, head.shape[-1]),
            "params.head.bias": state["fc.bias"],
            "stats.block.norm.mean": streams("bn{}.running_mean"),
            "stats.block.norm.var": streams("bn{}.running_var"),
        }


class STSTNet(nnx.Module):
    """Convolution, ReLU, batch norm, max-pool and dropout; average-pool; linear.

    Liong et al. 2019, figure 2. The three streams share their input and meet only at
    the linear layer, so they are one convolution here, with the sum of their filters.
    """

    def __init__(
        self, config: STSTNetConfig, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        channels = sum(config.filters)
        self.block = nn.ConvBlock(
            3,
            channels,
            (3, 3),
            padding=(2, 2),
            pool=(3, 3),
            pool_padding=(1, 1),
            average=(2, 2),
            dropout=config.dropout,
            dtype=dtype,
            rngs=rngs,
        )
        cells = self.block.geometry((config.size, config.size)).cells
        features = math.prod(cells) * channels
        self.head = nnx.Linear(
            features,
            classes,
            kernel_init=nn.torch_kernel,
            bias_init=nn.torch_bias(features),
            dtype=dtype,
            rngs=rngs,
        )

    @typed
    def __call__(
        self,
        apex_flow: Shaped[Array, "b h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        """Logits of horizontal flow, vertical flow and optical strain, in any unit."""
        if key is not None:
            key = keys.named(key, "dropout")
        x = self.block(apex_flow, train=train, key=key, weight=weight)
        return self.head(jnp.reshape(x, (x.shape[0], -1))).astype(jnp.float32)
