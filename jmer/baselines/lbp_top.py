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
from jmer.baselines.config import BaselineConfig
from jmer.baselines.grey import grey
from jmer.baselines.lbp import codes, histograms, plane_ways, uniform_bins
from jmer.errors import FieldCheck, UsageError
from jmer.models.base import Inputs

PLANES = ("XY", "XT", "YT")


@dataclass(frozen=True, kw_only=True)
class LbpTopConfig(BaselineConfig):
    """A histogram of patterns for each plane and each block of the face.

    Voxels nearer to an end of the clip than a radius have no pattern, in any plane, and
    blocks divide what is left. Zhao's code cuts blocks first, so that each loses its
    own margins.
    """

    name: ClassVar[str] = "lbptop"
    paper: ClassVar[str] = "Zhao & Pietikäinen, TPAMI 2007"
    inputs: ClassVar[tuple[str, ...]] = ("clip",)

    frames: int = 10
    """Frames of a clip."""
    size: int = 128
    """Side of a frame, in pixels."""
    blocks: int = 5
    """Blocks a side."""
    points: Literal[4, 8] = 4
    """Neighbours of a voxel in each plane."""
    radii: tuple[int, int, int] = (1, 1, 4)
    """How far they are along x, y (pixels) and t (frames)."""
    patterns: Literal["all", "uniform"] = "all"
    """uniform: patterns that change more than twice along the circle share a bin."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_room(self, self.radii)

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames, self.size, self.size, 3),)

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        rx, ry, rt = self.radii
        every = range(2**self.points)
        bins = uniform_bins(self.points) if self.patterns == "uniform" else [*every]
        volume = grey(inputs["clip"])
        found = []
        for plane in PLANES:
            ways = plane_ways(plane, self.points, self.radii)
            made = codes(volume, ways, (rt, ry, rx))
            found.append(histograms(made, bins, self.blocks, self.blocks))
        # By block, plane and bin.
        return jnp.stack(found, -2).reshape(len(volume), -1)


def require_room(network: "LbpTopConfig", radii: tuple[int, int, int]) -> None:
    """Raises: UsageError if a clip has no room for its radii or blocks."""
    check = FieldCheck(network, "model")
    check.whole("frames", "size", "blocks", least=1)
    check.must("radii", min(radii) >= 1, "be at least 1 each")
    rx, ry, rt = radii
    if network.frames <= 2 * rt:
        raise UsageError(
            f"model.frames={network.frames}: radius {rt} in time needs "
            f"{2 * rt + 1} frames or more"
        )
    if network.size - 2 * max(rx, ry) < network.blocks:
        raise UsageError(
            f"model.size={network.size}: {network.blocks} blocks and radii {radii} "
            f"need {network.blocks + 2 * max(rx, ry)} pixels or more"
        )
