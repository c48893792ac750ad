"""MDMO: the main directional mean optical flow.

Liu, Zhang, Yan, Wang, Zhao & Fu 2016, "A main directional mean optical-flow feature for
spontaneous micro-expression recognition", section 4.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.orientation import direction_bins
from jmer.baselines.regions import COUNT, regions
from jmer.errors import FieldCheck
from jmer.models.base import Inputs
from jmer.preprocess.points68 import TEMPLATE_68

LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class MdmoConfig(FlowBaselineConfig):
    """Of each of 36 regions of the face, the mean flow of those pixels that move in its
    commonest direction: lengths in parts of the longest, then angles.

    Prepared sets keep no points of faces, but those of aligned ones lie alike: the
    regions are those of a face from the front whose eyes, nose and mouth are where
    `align=landmarks` puts them. Of the paper's are 36, drawn by hand along 66 points;
    ours are the pixels nearest to 36 middles. The paper takes the mean over frames, and
    lets a weight of angles beside lengths be chosen, which standardising undoes.
    """

    name: ClassVar[str] = "mdmo"
    paper: ClassVar[str] = "Liu et al., TAC 2016"

    bins: int = 8
    """Directions that are told apart."""
    coordinates: Literal["polar", "cartesian"] = "polar"
    """cartesian: instead of lengths and angles, ways to the right and down."""

    def __post_init__(self) -> None:
        super().__post_init__()
        FieldCheck(self, "model").whole("bins", least=1)

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        u, v, _ = self.motion(inputs)
        u, v = (x.reshape(len(x), -1) for x in (u, v))  # b p
        of_pixel = regions(TEMPLATE_68, self.size).ravel()
        member = np.eye(COUNT, dtype=np.float32)[of_pixel] * (of_pixel >= 0)[:, None]
        hits = jax.nn.one_hot(direction_bins(u, v, self.bins), self.bins)  # b p k

        def summed(weight: Array) -> Array:
            return jnp.einsum(
                "bp,bpk,pr->brk", weight, hits, member, precision="highest"
            )

        counts = summed(jnp.ones_like(u))
        main = jax.nn.one_hot(counts.argmax(-1), self.bins)  # b r k
        pixels = jnp.maximum((counts * main).sum(-1), 1)
        right, down = ((summed(x) * main).sum(-1) / pixels for x in (u, v))
        length = jnp.hypot(right, down)
        longest = jnp.maximum(length.max(-1, keepdims=True), LEAST)
        if self.coordinates == "cartesian":
            return jnp.concatenate([right / longest, down / longest], -1)
        return jnp.concatenate([length / longest, jnp.arctan2(down, right)], -1)
