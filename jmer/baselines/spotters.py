"""Spotting by differences of features, with a classifier for what was spotted.

See `jmer.baselines.difference`. Nothing that finds expressions is trained: `jmer spot`
scores the curves of such a run as those of any network that tells intensities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import nnx
from jax import lax

from jmer.arrays import Array, Float
from jmer.baselines.config import BaselineConfig
from jmer.baselines.difference import contrast, difference, relative
from jmer.baselines.grey import grey
from jmer.baselines.lbp import codes, histograms, plane_ways, uniform_bins
from jmer.baselines.orientation import direction_bins, shares, weighted_histograms
from jmer.errors import FieldCheck, UsageError
from jmer.models.base import Inputs, Shown


@dataclass(frozen=True, kw_only=True)
class SpotterConfig(BaselineConfig):
    """Histograms of the blocks of each frame. Their differences, contrasted, and in
    proportion to the clip's own, are the intensity. A clip is classified by how the
    frame of the highest intensity differs from the mean of all.
    """

    later: ClassVar[Mapping[str, Any]] = {"ends": "clamped"}

    frames: int = 40
    """Frames of a clip."""
    size: int = 64
    """Side of a frame, in pixels."""
    blocks: int = 6
    """Blocks a side."""
    half: int = 5
    """Half of an expression, in frames: how far off a frame is compared."""
    ends: Literal["apart", "clamped"] = "apart"
    """Frames that have less than half an expression on one side. apart: they are no
    expression. clamped: they are compared with the clip's first or last frame."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check = FieldCheck(self, "model")
        check.choices()
        check.whole("frames", least=3)
        check.whole("size", "blocks", "half", least=1)
        if 2 * self.half >= self.frames:
            raise UsageError(
                f"model.half={self.half}: clips of {self.frames} frames have "
                f"expressions of {self.frames - 1} frames at most: give --model.half "
                f"{max((self.frames - 1) // 2, 1)} or less"
            )
        room = self.size - 2 * self.margin
        if self.blocks > room:
            raise UsageError(
                f"model.blocks={self.blocks}: frames of {self.size} pixels have at "
                f"most {max(room, 0)} blocks a side"
            )

    @property
    def margin(self) -> int:
        """Pixels at the border that have no feature."""
        return 0

    def of_frames(self, inputs: Inputs) -> Float[Array, "b t c k"]:
        """A histogram of each block of each frame."""
        raise NotImplementedError

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        made = self.of_frames(inputs)
        peak = self._intensity(made).argmax(1)[:, None, None, None]
        there = jnp.take_along_axis(made, peak, 1)[:, 0]
        return (there - made.mean(1)).reshape(len(made), -1)

    def _intensity(self, made: Float[Array, "b t c k"]) -> Float[Array, "b t"]:
        clamped = self.ends == "clamped"
        curve = difference(made, self.half, clamped=clamped)
        return relative(contrast(curve, self.half, clamped=clamped))

    def explain(self, model: nnx.Module, inputs: Inputs) -> Shown:
        """Logits, and `intensity` [b, t]: that of frames."""
        found = self._intensity(self.of_frames(inputs))
        return self.predict(model, inputs), {"intensity": found}


@dataclass(frozen=True, kw_only=True)
class LbpSpotterConfig(SpotterConfig):
    """By local binary patterns: 8 neighbours, uniform patterns."""

    name: ClassVar[str] = "lbpspotter"
    paper: ClassVar[str] = "Moilanen et al., ICPR 2014"
    inputs: ClassVar[tuple[str, ...]] = ("clip",)

    radius: int = 3
    """How far neighbours are, in pixels."""

    def __post_init__(self) -> None:
        FieldCheck(self, "model").whole("radius", least=1)
        super().__post_init__()

    @property
    def margin(self) -> int:
        return self.radius

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames, self.size, self.size, 3),)

    def of_frames(self, inputs: Inputs) -> Float[Array, "b t c k"]:
        r = self.radius
        ways, bins = plane_ways("XY", 8, (r, r, 0)), uniform_bins(8)

        def one(frame: Array) -> Array:
            made = codes(frame[:, None], ways, (0, r, r))
            return histograms(made, bins, self.blocks, self.blocks)

        volume = jnp.moveaxis(grey(inputs["clip"]), 1, 0)
        made = jnp.moveaxis(lax.map(one, volume), 0, 1)  # b t rows columns k
        return made.reshape(*made.shape[:2], -1, made.shape[-1])


@dataclass(frozen=True, kw_only=True)
class HoofSpotterConfig(SpotterConfig):
    """By directions of flow since the first frame: the sum of that between neighbours
    at each pixel, which is right where little moves. Histograms are in parts of all
    flow of the clip: those of a still frame are 0.
    """

    name: ClassVar[str] = "hoofspotter"
    paper: ClassVar[str] = "Li et al., TAC 2018"
    inputs: ClassVar[tuple[str, ...]] = ("flow",)

    bins: int = 8
    """Directions."""

    def __post_init__(self) -> None:
        FieldCheck(self, "model").whole("bins", least=1)
        super().__post_init__()

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames - 1, self.size, self.size, 2),)

    def of_frames(self, inputs: Inputs) -> Float[Array, "b t c k"]:
        steps = jnp.asarray(inputs["flow"], jnp.float32)
        flow = jnp.pad(jnp.cumsum(steps, 1), [(0, 0), (1, 0)] + [(0, 0)] * 3)
        b, t, h, w, _ = flow.shape
        u, v = jnp.moveaxis(flow.reshape(b * t, h, w, 2), -1, 0)
        made = weighted_histograms(
            direction_bins(u, v, self.bins),
            jnp.hypot(u, v),
            self.bins,
            self.blocks,
            self.blocks,
        )
        # Shares of a clip, not of a frame: a still block has a direction by chance.
        return shares(made.reshape(b, -1)).reshape(b, t, -1, self.bins)
