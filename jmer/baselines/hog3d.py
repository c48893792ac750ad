"""3D HOG: histograms of gradients on three planes of space and time.

Polikovsky, Kameda & Ohta 2009, "Facial micro-expressions recognition using high speed
camera and 3D-gradient descriptor", section 3. Regions there are 12 cubes that experts
drew around muscles; here they are blocks. No public code of it is known.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.clip_features import ClipBaselineConfig
from jmer.baselines.grey import grey
from jmer.baselines.orientation import direction_bins, shares, weighted_histograms
from jmer.errors import FieldCheck
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class Hog3dConfig(ClipBaselineConfig):
    """In each block, how much gradient points in which direction of the planes XY, XT
    and YT, over all frames but the first and the last.

    Gradients are differences of the neighbours before and after; at the border of a
    frame they are 0 across it (as those of scikit-image's `hog`). A voxel counts by the
    length of its gradient in the plane.
    """

    name: ClassVar[str] = "hog3d"
    paper: ClassVar[str] = "Polikovsky et al., ICDP 2009"

    bins: tuple[int, int, int] = (8, 12, 12)
    """Directions in XY, XT and YT."""
    signed: bool = True
    """Whether opposite directions have bins of their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        FieldCheck(self, "model").must(
            "bins", min(self.bins) >= 1, "be at least 1 each"
        )

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        volume = grey(inputs["clip"]).astype(jnp.float32)
        inner = volume[:, 1:-1]
        dt = volume[:, 2:] - volume[:, :-2]
        dy = _bordered(inner[:, :, 2:] - inner[:, :, :-2], 2)
        dx = _bordered(inner[..., 2:] - inner[..., :-2], 3)
        found = []
        planes = zip(((dx, dy), (dx, dt), (dy, dt)), self.bins, strict=True)
        for (along, across), count in planes:
            found.append(self._plane(along, across, count))
        return jnp.concatenate(found, -1).reshape(len(volume), -1)

    def _plane(self, along: Array, across: Array, count: int) -> Array:
        b, t, h, w = along.shape
        span = 2 * math.pi if self.signed else math.pi
        bins = direction_bins(along, across, count, span)
        weight = jnp.hypot(along, across).reshape(b * t, h, w)
        bins = bins.reshape(b * t, h, w)
        made = weighted_histograms(bins, weight, count, self.blocks, self.blocks)
        return shares(made.reshape(b, t, *made.shape[1:]).sum(1))


def _bordered(inner: Array, axis: int) -> Array:
    """With a zero at either end of an axis."""
    return jnp.pad(inner, [(1, 1) if i == axis else (0, 0) for i in range(4)])
