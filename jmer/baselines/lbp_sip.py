"""LBP-SIP: local binary patterns of six intersection points.

Wang, See, Phan & Oh 2014, "LBP with six intersection points: reducing redundant
information in LBP-TOP for micro-expression recognition"; 2015, "Efficient
spatio-temporal local binary patterns for spontaneous facial micro-expression
recognition".
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.bit_planes import pattern_shares
from jmer.baselines.clip_features import PatternBaselineConfig
from jmer.baselines.grey import grey
from jmer.baselines.lbp import plane_ways
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class LbpSipConfig(PatternBaselineConfig):
    """The twelve neighbours of LBP-TOP are six points, on three lines that cross in the
    voxel: a histogram of the four in its frame (16 bins) and one of the two before and
    after it (4 bins), for each block.

    Neighbours as light as the voxel count as lighter, as in LBP-TOP. Without the
    Gaussian pyramid of the paper's second half.
    """

    name: ClassVar[str] = "lbpsip"
    paper: ClassVar[str] = "Wang et al., ACCV 2014"

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        rx, ry, rt = self.radii
        volume, grid = grey(inputs["clip"]), (self.blocks, self.blocks)
        within = plane_ways("XY", 4, self.radii)
        around = [(-float(rt), 0.0, 0.0), (float(rt), 0.0, 0.0)]
        found = pattern_shares(volume, (within, around), (rt, ry, rx), grid)
        return jnp.concatenate(found, -1).reshape(len(volume), -1)
