"""The embedded set of procedural faces, for whoever has no licensed data at hand."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from jmer.data.config import DataConfig
from jmer.errors import Need, Needs, UsageError
from jmer.preprocess.clip_recipe import ClipRecipe, Shapes
from jmer.synthetic.spec import SyntheticSpec


@dataclass(frozen=True)
class Synthetic(SyntheticSpec, ClipRecipe, DataConfig):
    """Procedural faces with action units, true flow and intensity; needs no files."""

    name: ClassVar[str] = "synthetic"

    modality: Literal["apex-flow", "clip", "flow"] = "apex-flow"
    """apex-flow: estimated flow and strain from onset to apex. clip: frames; as long as
    all are kept, with the true flow between neighbours and the intensity of each
    frame. flow: motion between neighbouring frames of that clip."""
    # Wider than in a recipe of real frames: `stored` translates what only this set has.
    frames: int = 0
    """Frames of a stored clip (flow has one less); 0: as many as are generated."""
    resample: Literal[
        "none", "linear", "uniform", "random-sorted", "apex-window", "tim", "whole"
    ] = "none"  # type: ignore[assignment]
    """How the frames are chosen. none: all. linear: onset..offset, interpolated pixel
    by pixel. tim: the same by the temporal interpolation model. uniform: the centres of
    equal segments of onset..offset. random-sorted: any frames of onset..offset in their
    order, the same ones at every preparation. apex-window: neighbours of the apex.
    whole: as linear, over the clip with its context, for spotting."""
    flow: Literal["auto", "farneback", "dis", "tvl1", "flownet2"] = "auto"  # type: ignore[assignment]
    """auto: the true flow where all frames are kept, else Farnebäck's method, as also
    from onset to apex. dis: Kroeger et al. 2016. On the accelerator, tvl1: Zach et al.
    2007; flownet2: Ilg et al. 2017."""
    # No field: faces are drawn in place, and the true flow is that of the whole frame.
    align: ClassVar[Literal["none"]] = "none"  # type: ignore[misc]
    # Nor these: all recordings are of one length, and may be kept whole.
    stride: ClassVar[int] = 1  # type: ignore[misc]
    stride_ms: ClassVar[float] = 0.0  # type: ignore[misc]
    flow_size: int = 28
    """Side of the onset-to-apex flow, in pixels, 4 or more."""

    def __post_init__(self) -> None:
        SyntheticSpec.__post_init__(self)
        if self.flow_size < 4:
            raise UsageError(f"flow_size={self.flow_size}: must be at least 4")
        if self.resample == "none" and self.frames not in (0, self.length):
            raise UsageError(
                f"frames={self.frames}: resample=none keeps all {self.length} frames; "
                f"choose how the others are left out, such as resample=uniform"
            )
        ClipRecipe.__post_init__(self.stored)

    @property
    def needs(self) -> Needs:
        flow_size: Need = {} if self.modality == "apex-flow" else None
        # Frames are drawn in the size that is stored.
        return {**super().needs, "flow_size": flow_size, "resize": None}

    @property
    def spec(self) -> SyntheticSpec:
        """What the clips depend on, without the form in which they are stored."""
        fields = dataclasses.fields(SyntheticSpec)
        return SyntheticSpec(**{f.name: getattr(self, f.name) for f in fields})

    @property
    def stored(self) -> ClipRecipe:
        """The form in which they are stored, as real data sets name it."""
        return ClipRecipe(
            modality=self.modality,
            frames=self.frames or self.length,
            resample="linear" if self.resample == "none" else self.resample,
            size=self.flow_size if self.modality == "apex-flow" else self.size,
            flow="farneback" if self.flow == "auto" else self.flow,
            padding=self.padding,
            context=self.context,
            window=self.window,
            flow_weights=self.flow_weights,
            special=self.special,
            resize=self.resize,
            tracks=self.tracks,
        )

    @property
    def shapes(self) -> Shapes:
        shapes = self.stored.shapes
        if self.modality == "clip" and self.resample == "none":
            square = (self.size, self.size)
            shapes["flow"] = ((self.length - 1, *square, 2), np.float16)
            shapes["intensity"] = ((self.length,), np.float32)
        return shapes
