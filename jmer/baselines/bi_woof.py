"""Bi-WOOF: bi-weighted oriented optical flow.

Liong, See, Wong & Phan 2018, "Less is more: micro-expression recognition from video
using apex frame", section 3.3, and its first author's code (christy1206/biwoof), which
has 5x5 blocks that share a pixel at their borders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.grey import in_cells
from jmer.baselines.orientation import (
    LEAST,
    direction_bins,
    shares,
    weighted_histograms,
)
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class BiWoofConfig(FlowBaselineConfig):
    """A histogram of directions for each block, in which each pixel counts by the
    length of its flow, and each block by its mean strain."""

    name: ClassVar[str] = "biwoof"
    paper: ClassVar[str] = "Liong et al., SPIC 2018"
    later: ClassVar[Mapping[str, Any]] = {"normal": False}

    blocks: int = 8
    """Blocks a side; the paper tries 5 to 10."""
    bins: int = 8
    """Directions."""
    normal: bool = True
    """Whether a block's histogram is in parts of its sum before the strain weighs it,
    and a clip's features have length 1 together, as in the authors' code."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_blocks(self.blocks)

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        u, v, strain = self.motion(inputs)
        bins, weight = direction_bins(u, v, self.bins), (u**2 + v**2) ** 0.5
        made = weighted_histograms(bins, weight, self.bins, self.blocks, self.blocks)
        pixels = in_cells(strain * 0 + 1, self.blocks, self.blocks)
        mean = in_cells(strain, self.blocks, self.blocks) / pixels
        if self.normal:
            made = shares(made)
        made = (made * mean[..., None]).reshape(len(u), -1)
        if not self.normal:
            return made
        length = jnp.sqrt((made**2).sum(-1, keepdims=True))
        return jnp.where(length > LEAST, made / jnp.maximum(length, LEAST), 0)
