"""What features of flow have in common: the flow from onset to apex, and its zero."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.config import BaselineConfig
from jmer.errors import FieldCheck, UsageError
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class FlowBaselineConfig(BaselineConfig):
    """Features of the flow from the onset to the apex frame.

    The papers take flow between many frames; prepared sets have that of these two, and
    so has the public set of flow images.
    """

    inputs: ClassVar[tuple[str, ...]] = ("apex_flow",)

    size: int = 28
    """Side of the flow, in pixels."""
    zero: Literal["given", "median"] = "given"
    """What stands for no motion. median: that of each component over the face, for
    images of flow that was stretched to 0..255, in which nothing else tells it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        FieldCheck(self, "model").whole("size", least=2)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.size, self.size, 3),)

    def motion(
        self, inputs: Inputs
    ) -> tuple[Float[Array, "b h w"], Float[Array, "b h w"], Float[Array, "b h w"]]:
        """Flow to the right and down, and the strain, float32."""
        flow = jnp.moveaxis(jnp.asarray(inputs["apex_flow"], jnp.float32), -1, 0)
        u, v, strain = flow
        if self.zero == "median":
            u, v = (x - jnp.median(x, axis=(1, 2), keepdims=True) for x in (u, v))
        return u, v, strain

    def _require_blocks(self, blocks: int) -> None:
        """Raises: UsageError if there are not as many pixels as blocks."""
        FieldCheck(self, "model").whole("blocks", "bins", least=1)
        if blocks > self.size:
            raise UsageError(
                f"model.blocks={blocks}: flow of {self.size} pixels has at most "
                f"{self.size} blocks a side"
            )
