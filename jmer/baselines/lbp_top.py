"""LBP-TOP: local binary patterns on three orthogonal planes.

Zhao & Pietikäinen 2007, "Dynamic texture recognition using local binary patterns with
an application to facial expressions". With the fields' defaults, the baseline of MEGC
2019 (See et al. 2019, section III): radii 1, 1, 4, four neighbours, 5x5 blocks, ten
frames by the temporal interpolation model.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.bit_planes import pattern_shares
from jmer.baselines.clip_features import PatternBaselineConfig
from jmer.baselines.grey import grey
from jmer.baselines.lbp import plane_ways, uniform_bins
from jmer.models.base import Inputs

PLANES = ("XY", "XT", "YT")


@dataclass(frozen=True, kw_only=True)
class LbpTopConfig(PatternBaselineConfig):
    """A histogram of patterns for each plane and each block of the face.

    Voxels nearer to an end of the clip than a radius have no pattern, in any plane, and
    blocks divide what is left, as in Zhao's own code, whose blocks may overlap; planes,
    neighbours, ties and shares of each plane are those of it (Huang's MATLAB of it).
    The challenge does not print whether all 16 patterns have bins, or 15 do.
    """

    name: ClassVar[str] = "lbptop"
    paper: ClassVar[str] = "Zhao & Pietikäinen, TPAMI 2007"

    points: Literal[4, 8] = 4
    """Neighbours of a voxel in each plane."""
    patterns: Literal["all", "uniform"] = "all"
    """uniform: patterns that change more than twice along the circle share a bin."""

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        rx, ry, rt = self.radii
        groups = [plane_ways(plane, self.points, self.radii) for plane in PLANES]
        bins = uniform_bins(self.points) if self.patterns == "uniform" else None
        volume, grid = grey(inputs["clip"]), (self.blocks, self.blocks)
        found = pattern_shares(volume, groups, (rt, ry, rx), grid, bins)
        # By block, plane and bin.
        return jnp.stack(found, -2).reshape(len(volume), -1)
