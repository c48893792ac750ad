"""Bi-WOOF: bi-weighted oriented optical flow.

Liong, See, Wong & Phan 2018, "Less is more: micro-expression recognition from video
using apex frame", section 3.3.
"""

from dataclasses import dataclass
from typing import ClassVar

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.grey import in_cells
from jmer.baselines.orientation import direction_bins, weighted_histograms
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class BiWoofConfig(FlowBaselineConfig):
    """A histogram of directions for each block, in which each pixel counts by the
    length of its flow, and each block by its mean strain."""

    name: ClassVar[str] = "biwoof"
    paper: ClassVar[str] = "Liong et al., SPIC 2018"

    blocks: int = 8
    """Blocks a side; the paper tries 5 to 10."""
    bins: int = 8
    """Directions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_blocks(self.blocks)

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        u, v, strain = self.motion(inputs)
        bins, weight = direction_bins(u, v, self.bins), (u**2 + v**2) ** 0.5
        made = weighted_histograms(bins, weight, self.bins, self.blocks, self.blocks)
        pixels = in_cells(strain * 0 + 1, self.blocks, self.blocks)
        mean = in_cells(strain, self.blocks, self.blocks) / pixels
        return (made * mean[..., None]).reshape(len(u), -1)
