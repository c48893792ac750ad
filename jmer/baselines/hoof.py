"""HOOF: histograms of oriented optical flow.

Chaudhry, Ravichandran, Hager & Vidal 2009, "Histograms of oriented optical flow and
Binet-Cauchy kernels on nonlinear dynamical systems for the recognition of human
actions", section 3. They take one histogram of a frame, of 30 bins that left and right
share (`mirrored`), in parts of its sum; of faces, papers on micro-expressions take one
of each block, of 8 directions.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.orientation import direction_bins, shares, weighted_histograms
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class HoofConfig(FlowBaselineConfig):
    """How much flow each block has in each direction, in parts of the block's."""

    name: ClassVar[str] = "hoof"
    paper: ClassVar[str] = "Chaudhry et al., CVPR 2009"

    blocks: int = 5
    """Blocks a side."""
    bins: int = 8
    """Directions."""
    mirrored: bool = False
    """Whether left and right share a bin, as in the paper, whose people walk either
    way; bins then lie between straight up and straight down."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_blocks(self.blocks)

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        u, v, _ = self.motion(inputs)
        if self.mirrored:
            # From straight up on: a right angle is added.
            bins = direction_bins(-v, jnp.abs(u), 2 * self.bins, 2 * math.pi)
            bins = jnp.minimum(bins, self.bins - 1)
        else:
            bins = direction_bins(u, v, self.bins)
        weight = jnp.hypot(u, v)
        made = weighted_histograms(bins, weight, self.bins, self.blocks, self.blocks)
        return shares(made).reshape(len(u), -1)
