"""Flow itself as features: every pixel of it.

Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression analysis",
whose library meb has it as "SVM + OF" in experiments/benchmarks: flow and strain of 32
pixels, each stretched (tools/extract_optical_flow.py), and Gaussian machines with C 28.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.orientation import LEAST
from jmer.models.base import Inputs


@dataclass(frozen=True, kw_only=True)
class FlowPixelsConfig(FlowBaselineConfig):
    """Flow to the right, down and strain of each pixel.

    With `zero` median, flow is what it is beside the median of the face.
    """

    name: ClassVar[str] = "flowpixels"
    paper: ClassVar[str] = "Varanka et al., TAC 2023"

    size: int = 32
    """Side of the flow, in pixels."""
    stretched: bool = True
    """Whether each of the three is stretched in each clip to 0..1, from its least to
    its most, as meb stores them; where nothing varies, it is 0."""

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        made = jnp.stack(self.motion(inputs), 1)
        if self.stretched:
            least = made.min((2, 3), keepdims=True)
            room = made.max((2, 3), keepdims=True) - least
            share = (made - least) / jnp.maximum(room, LEAST)
            made = jnp.where(room > LEAST, share, 0)
        return made.reshape(len(made), -1)
