"""MDMO: the main directional mean optical flow.

Liu, Zhang, Yan, Wang, Zhao & Fu 2016, "A main directional mean optical-flow feature for
spontaneous micro-expression recognition", section 4. What the paper leaves open is as
in the library meb (Varanka et al. 2023, meb/utils/traditional_methods.py), whose figure
on CD6ME is the published one: corners of the regions, and bins around the axes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float
from jmer.baselines.flow_features import FlowBaselineConfig
from jmer.baselines.orientation import LEAST, direction_bins
from jmer.baselines.regions import COUNT, drawn, regions
from jmer.errors import FieldCheck, Needs, lacking
from jmer.models.base import Inputs
from jmer.preprocess.points68 import TEMPLATE_68


@dataclass(frozen=True, kw_only=True)
class MdmoConfig(FlowBaselineConfig):
    """Of each of 36 regions of the face, the mean length and the mean angle of the flow
    of those pixels that move in its commonest direction: lengths in parts of the
    longest, then angles, from -π to π.

    Prepared sets keep no points of faces, but those of aligned ones lie alike: the
    regions are those of a face from the front whose eyes, nose and mouth are where
    `align=landmarks` puts them. The paper takes flow from the first frame to each other
    one, and the mean of these in Cartesian coordinates; prepared sets have one flow.
    """

    later: ClassVar[Mapping[str, Any]] = {
        **{"regions": "nearest", "centred": False, "mean": "vector", "lengths": None}
    }
    name: ClassVar[str] = "mdmo"
    paper: ClassVar[str] = "Liu et al., TAC 2016"

    bins: int = 8
    """Directions that are told apart."""
    regions: Literal["drawn", "nearest"] = "drawn"
    """drawn: quadrangles between points of the face. nearest: pixels around 36 middles,
    each of the nearest one."""
    centred: bool = True
    """Whether straight ways lie in the middle of a bin, instead of between two."""
    mean: Literal["polar", "vector"] = "polar"
    """polar: of lengths, and of angles. vector: of the flow's components."""
    lengths: float | None = None
    """How much lengths weigh; angles then weigh what is left to 1 (the paper's α, which
    it chooses for each data set). A machine whose features are scaled each by itself
    does not know the difference: see --optim.scaling."""
    coordinates: Literal["polar", "cartesian"] = "polar"
    """cartesian: instead of lengths and angles, ways to the right and down."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check = FieldCheck(self, "model")
        check.whole("bins", least=1)
        known = self.lengths is None or 0 <= self.lengths <= 1
        check.must("lengths", known, "be from 0 to 1")

    @property
    def needs(self) -> Needs:
        polar = lacking(self, coordinates=("polar",))
        return {**super().needs, "lengths": polar}

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        u, v, _ = self.motion(inputs)
        u, v = (x.reshape(len(x), -1) for x in (u, v))  # b p
        length, angle = self._main(u, v, jnp.asarray(self._member))
        length = length / jnp.maximum(length.max(-1, keepdims=True), LEAST)
        if self.coordinates == "cartesian":
            right, down = length * jnp.cos(angle), length * jnp.sin(angle)
            return jnp.concatenate([right, down], -1)
        if self.lengths is not None:
            length, angle = self.lengths * length, (1 - self.lengths) * angle
        return jnp.concatenate([length, angle], -1)

    @property
    def _member(self) -> Float[np.ndarray, "p 36"]:
        """Which pixels are of which region, as ones."""
        if self.regions == "drawn":
            return drawn(TEMPLATE_68, self.size).reshape(COUNT, -1).T.astype(np.float32)
        of_pixel = regions(TEMPLATE_68, self.size).ravel()
        return np.eye(COUNT, dtype=np.float32)[of_pixel] * (of_pixel >= 0)[:, None]

    def _main(self, u: Array, v: Array, member: Array) -> tuple[Array, Array]:
        """The mean length and angle of the main direction [b, region]."""
        width = 2 * math.pi / self.bins
        turn = width / 2 if self.centred else 0.0
        bins = direction_bins(
            u * math.cos(turn) - v * math.sin(turn),
            u * math.sin(turn) + v * math.cos(turn),
            self.bins,
        )
        hits = jax.nn.one_hot(bins, self.bins)  # b p k

        def summed(weight: Array) -> Array:
            return jnp.einsum(
                "bp,bpk,pr->brk", weight, hits, member, precision="highest"
            )

        counts = summed(jnp.ones_like(u))
        most = counts.argmax(-1)
        main = jax.nn.one_hot(most, self.bins)  # b r k
        pixels = jnp.maximum((counts * main).sum(-1), 1)

        def mean(x: Array) -> Array:
            return (summed(x) * main).sum(-1) / pixels

        if self.mean == "vector":
            right, down = mean(u), mean(v)
            return jnp.hypot(right, down), jnp.arctan2(down, right)
        # Angles beside the middle of the bin: those around π are near one another.
        beside = _wrapped(jnp.arctan2(v, u) - (bins + 0.5) * width + turn)
        middle = (most + 0.5) * width - turn
        return mean(jnp.hypot(u, v)), _wrapped(middle + mean(beside))


def _wrapped(angle: Array) -> Array:
    """From -π to below π."""
    return jnp.mod(angle + math.pi, 2 * math.pi) - math.pi
