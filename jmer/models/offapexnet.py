"""Off-ApexNet: two convolutions and dense layers over onset-to-apex flow."""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck
from jmer.models.base import NetworkConfig


@dataclasses.dataclass(frozen=True)
class OffApexNetConfig(NetworkConfig):
    """Off-ApexNet (Gan et al. 2019), as the library meb has it or as the paper does."""

    name: ClassVar[str] = "offapexnet"
    paper: ClassVar[str] = (
        "Gan, Liong, Yau, Huang, Tan. OFF-ApexNet on Micro-expression Recognition "
        "System. Signal Processing: Image Communication 2019"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 807_909,
        "trained": 807_909,
        "input": "apex_flow 28x28x3",
    }
    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    small_size: ClassVar[Mapping[str, Any]] = {"size": 28, "hidden": (128,)}

    streams: Literal["joint", "separate"] = "joint"
    """Horizontal and vertical flow as two channels of one image (meb), or each through
    convolutions of its own (the paper)."""
    filters: tuple[int, int] = (6, 16)
    """Filters of the two convolutions, of each stream."""
    kernel: int = 3
    """Side of their window, odd: 3 (meb) or 5 (the paper)."""
    hidden: tuple[int, ...] = (1024,)
    """Units of the dense layers: 1024 (meb), or 1024 twice (the paper)."""
    size: int = 28
    """Height and width of the flow image, in pixels."""
    dropout: float = 0.5
    """Share of values dropped before each dense layer in training, 0 to below 1."""
    zero: float = 0.0
    """What is taken from the flow that the data set stores, before all else."""
    unit: float = 1.0
    """What it is divided by then: the network has nothing that makes up for scale."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.choices()
        check.must("size", self.size >= 4, "be at least 4 pixels")
        check.must("kernel", self.kernel % 2 == 1, "be odd")
        check.at_least(1, "kernel")
        check.must("filters", min(self.filters) >= 1, "be positive")
        some = all(units >= 1 for units in self.hidden)
        check.must("hidden", some, "be positive")
        check.share("dropout")
        check.finite("zero", "unit")
        check.must("unit", self.unit > 0, "be above 0")

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.size, self.size, 3),)

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "OffApexNet":
        return OffApexNet(self, classes, dtype=dtype, rngs=rngs)


class Stream(nnx.Module):
    """Twice convolution, ReLU and max-pool of 2x2; as a vector."""

    def __init__(
        self,
        config: OffApexNetConfig,
        inputs: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        window, around = (config.kernel,) * 2, (config.kernel // 2,) * 2
        first, second = config.filters
        self.conv1 = nn.Conv(
            inputs, first, window, padding=around, dtype=dtype, rngs=rngs
        )
        self.conv2 = nn.Conv(
            first, second, window, padding=around, dtype=dtype, rngs=rngs
        )

    @typed
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
        for conv in (self.conv1, self.conv2):
            x = nn.max_pool(nnx.relu(conv(x)), (2, 2))
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class OffApexNet(nnx.Module):
    """One stream or two, dropout and a dense layer with ReLU, dropout, linear."""

    def __init__(
        self,
        config: OffApexNetConfig,
        classes: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        self.zero, self.unit = config.zero, config.unit
        self.rate = config.dropout
        count = 2 if config.streams == "separate" else 1
        self.streams = nnx.List(
            [Stream(config, 2 // count, dtype=dtype, rngs=rngs) for _ in range(count)]
        )
        side = config.size // 2 // 2
        widths = [count * side**2 * config.filters[1], *config.hidden]
        self.dense = nnx.List(
            [
                nn.Linear(n, m, dtype=dtype, rngs=rngs)
                for n, m in itertools.pairwise(widths)
            ]
        )
        self.head = nn.Linear(widths[-1], classes, dtype=dtype, rngs=rngs)

    @typed
    def __call__(
        self,
        apex_flow: Shaped[Array, "b h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        """Logits of horizontal and vertical flow; the optical strain is not seen."""
        flow = (apex_flow[..., :2].astype(jnp.float32) - self.zero) / self.unit
        parts = jnp.split(flow, len(self.streams), axis=-1)
        pairs = zip(self.streams, parts, strict=True)
        x: Array = jnp.concatenate([stream(part) for stream, part in pairs], axis=-1)
        for i, layer in enumerate(self.dense):
            x = nnx.relu(layer(self._dropped(x, key if train else None, i)))
        x = self._dropped(x, key if train else None, len(self.dense))
        return self.head(x).astype(jnp.float32)

    def _dropped(self, x: Array, key: PRNGKeyArray | None, layer: int) -> Array:
        return nn.dropout(x, self.rate, keys.within(key, "dropout", layer))
