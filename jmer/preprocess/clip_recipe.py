"""What is made of an annotated clip: the fields that all such data sets share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from jmer.errors import Need, Needs, UsageError

Shapes = dict[str, tuple[tuple[int, ...], type]]


MOST = {"frames": 10_000, "size": 2048, "context": 100_000}
"""What a recipe can ask for: beyond it, no device has the memory of a clip."""


FILLED = ("uniform", "random-sorted", "apex-window")
"""What chooses frames that a clip may lack."""
ROUNDED = 1e-6
"""Share by which a frame rate may be off."""


@dataclass(frozen=True)
class ClipRecipe:
    """Fields of a data set's configuration; `features` makes the arrays.

    Raises: UsageError naming the field, its value and the remedy.
    """

    files: ClassVar[tuple[str, ...]] = ("flow_weights",)
    """Fields that name a file which preparing reads."""
    later: ClassVar[Mapping[str, Any]] = {
        **{"window": "centred", "stride": 1, "stride_ms": 0.0},
        **{"resize": "area", "tracks": "chained"},
    }
    """Fields that came after the first sets, and what was done then."""

    modality: Literal["clip", "flow", "video", "apex-flow"] = "clip"
    """clip: frames. flow: motion between neighbouring frames of that clip. video: both,
    and how far each frame shows the expression, which rises in a straight line from
    onset to apex and falls to the offset. apex-flow: motion and strain from onset to
    apex."""
    frames: int = 16
    """Frames of a stored clip (flow has one less)."""
    resample: Literal[
        "linear", "uniform", "random-sorted", "apex-window", "tim", "whole", "native"
    ] = "linear"
    """How the frames are chosen. linear: onset..offset, interpolated pixel by pixel.
    tim: the same by the temporal interpolation model. uniform: the centres of equal
    segments of onset..offset. random-sorted: any frames of onset..offset in their
    order, the same ones at every preparation. apex-window: neighbours of the apex.
    whole: as linear, over the clip with its context, for spotting. native: the clip
    with its context, frame by frame as it was recorded; `frames` is the length of the
    longest, shorter ones end in black, and `present` says which frames there are."""
    context: int = 0
    """With resample=whole, native or apex-window, frames before the onset and after the
    offset that belong to the clip, or as many as the recording has there."""
    window: Literal["centred", "inside"] = "centred"
    """Where apex-window lies. centred: around the apex, whatever the clip lacks on a
    side. inside: moved as far as it needs to lie in the clip, which then lacks frames
    only if it has too few."""
    stride: int = 1
    """With resample=native, frames of the recording from one stored frame to the next.
    """
    stride_ms: float = 0.0
    """The same in milliseconds, to the nearest frame, for recordings of several rates;
    0: stride counts."""
    padding: Literal["repeat", "zeros"] = "repeat"
    """What uniform, random-sorted and apex-window put where a clip has too few frames:
    its first and last one again, or black."""
    size: int = 128
    """Side of what is stored, in pixels; frames are stretched to a square."""
    resize: Literal["area", "bilinear"] = "area"
    """How frames are made smaller. area: each pixel is the mean of those that it
    covers. bilinear: of the four pixels about its centre alone, as OpenCV does it."""
    flow: Literal["farneback", "dis", "tvl1", "flownet2"] = "farneback"
    """How flow is estimated: Farnebäck's method, DIS (Kroeger et al. 2016), or on the
    accelerator TV-L1 (Zach et al. 2007) or FlowNet 2.0 (Ilg et al. 2017)."""
    flow_weights: Path | None = None
    """The checkpoint of FlowNet 2.0 for PyTorch that NVIDIA published; flow=flownet2
    needs it unless the set is prepared already."""
    align: Literal["none", "crop", "landmarks"] = "none"
    """What is cut from each frame before all else; the onset frame decides for its
    clip. none: the frame as published. crop: the face, in an upright square. landmarks:
    the face turned, scaled and moved so that eyes, nose and mouth lie alike in all."""
    special: Literal["none", "sf", "apex-offset", "random2", "of", "dense"] = "none"
    """Two more images beside a clip. sf: the onset and the apex frame. apex-offset:
    those two. random2: any two frames of onset..offset, the same ones at every
    preparation. of: tracks of corners from onset to apex and from apex to offset,
    green lines with red ends on black, drawn as `tracks` says. dense: flow over the
    same two intervals, hue for direction and brightness for speed."""

    tracks: Literal["direct", "chained"] = "direct"
    """How special=of finds and draws its tracks. direct: as the code of HSTA does, from
    the one frame to the other, in frames of their own size, thick and with both ends
    marked, and made smaller afterwards. chained: from frame to frame, in frames of the
    stored size, thin, without those that move less than half a pixel."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise UsageError(f"frames={self.frames}: must be at least 2")
        if self.size < 4:
            raise UsageError(f"size={self.size}: must be at least 4")
        for name, most in MOST.items():
            if (value := getattr(self, name)) > most:
                raise UsageError(f"{name}={value}: must be at most {most:,}")
        if self.context < 0:
            raise UsageError(f"context={self.context}: must be at least 0")
        around = self.resample in ("whole", "native", "apex-window")
        if self.context and (not around or self.modality == "apex-flow"):
            raise UsageError(
                f"context={self.context} goes with resample=whole, native or "
                f"apex-window and modality=clip, flow or video, not with "
                f"resample={self.resample} and modality={self.modality}"
            )
        if self.window != "centred" and self.resample != "apex-window":
            raise UsageError(
                f"window={self.window} goes with resample=apex-window, not with "
                f"resample={self.resample}"
            )
        self._check_stride()
        estimated = self.modality in ("flow", "video") or self.special == "dense"
        if estimated and self.flow == "dis" and self.size < 12:
            raise UsageError(f"size={self.size}: flow=dis needs at least 12")
        if self.flow_weights is not None and self.flow != "flownet2":
            raise UsageError(
                f"flow_weights={self.flow_weights}: goes with flow=flownet2, not with "
                f"flow={self.flow}"
            )
        stored = self.modality != "apex-flow" and self.align == "none"
        if self.resize != "area" and not stored:
            raise UsageError(
                f"resize={self.resize} goes with whole frames that are stored, not "
                f"with modality={self.modality} and align={self.align}"
            )
        if self.special != "none" and self.modality != "clip":
            raise UsageError(
                f"special={self.special} goes with modality=clip, not with "
                f"modality={self.modality}"
            )

    @property
    def idle(self) -> tuple[str, ...]:
        """Fields that make no difference, as the other fields are."""
        return () if self.special == "of" else ("tracks",)

    @property
    def needs(self) -> Needs:
        """What fields need that make a difference beside others alone; see `Needs`.
        Other features than the network sees would be of no help to it."""
        frames: Need = None if self.modality == "apex-flow" else {}
        padding = frames
        if frames is not None and self.resample not in FILLED:
            filled = {"resample": "apex-window" if self.context else "uniform"}
            padding = filled if self.resample in ("linear", "tim", "whole") else None
        flow: Need = {}
        if self.modality == "clip" and self.special != "dense":
            flow = None if self.special == "none" else {"special": "dense"}
        tracks: Need = {}
        if self.special != "of":
            tracks = None if self.special == "none" else {"special": "of"}
        return {
            **{"frames": frames, "resample": frames, "padding": padding},
            **{"flow": flow, "flow_weights": flow, "tracks": tracks},
        }

    def _check_stride(self) -> None:
        if self.stride < 1:
            raise UsageError(f"stride={self.stride}: must be at least 1")
        if not 0 <= self.stride_ms < math.inf:
            raise UsageError(f"stride_ms={self.stride_ms}: must be 0 or more")
        for name, every in (("stride", 1), ("stride_ms", 0)):
            if getattr(self, name) != every and self.resample != "native":
                raise UsageError(
                    f"{name}={getattr(self, name)} goes with resample=native, not with "
                    f"resample={self.resample}"
                )
        if self.stride != 1 and self.stride_ms:
            raise UsageError(
                f"stride={self.stride} and stride_ms={self.stride_ms}: leave out one "
                f"of them"
            )

    def step(self, frame_rate: float) -> float:
        """Frames of a recording from one stored frame to the next, at its rate in
        frames a second (0 where it is unknown).

        Raises: UsageError if `stride_ms` asks for less than a frame, or of a recording
        whose rate is unknown.
        """
        if not self.stride_ms:
            return self.stride
        if not frame_rate > 0:
            raise UsageError(
                f"stride_ms={self.stride_ms}: the frame rate of the recording is "
                f"unknown; give stride, in frames"
            )
        step = self.stride_ms * frame_rate / 1000
        # The rate of a video is derived from times, which are rounded.
        if step < 1 - ROUNDED:
            raise UsageError(
                f"stride_ms={self.stride_ms}: frames are {1000 / frame_rate:g} ms "
                f"apart; give as much or more"
            )
        return max(step, 1.0)

    def require_files(self) -> None:
        """Reads the weights that the flow needs, if it needs any.

        Raises: UsageError if none are given, JmerError if they cannot be used.
        """
        estimated = self.modality != "clip" or self.special == "dense"
        if not estimated or self.flow != "flownet2":
            return
        if self.flow_weights is None:
            raise UsageError(
                "flow=flownet2 needs flow_weights: give the file "
                "FlowNet2_checkpoint.pth.tar that NVIDIA published for PyTorch"
            )
        # JAX starts only for who asks for it.
        from jmer.preprocess.flownet2.estimate import load_network

        load_network(self.flow_weights)

    @property
    def shapes(self) -> Shapes:
        """Shape and type of each stored array."""
        square = (self.size, self.size)
        if self.modality == "apex-flow":
            return {"apex_flow": ((*square, 3), np.float16)}
        shapes: Shapes = {}
        if self.resample == "native":
            shapes["present"] = ((self.frames,), np.uint8)
        if self.modality == "flow":
            return {**shapes, "flow": ((self.frames - 1, *square, 2), np.float16)}
        shapes["clip"] = ((self.frames, *square, 3), np.uint8)
        if self.modality == "video":
            shapes["flow"] = ((self.frames - 1, *square, 2), np.float16)
            shapes["intensity"] = ((self.frames,), np.float32)
        if self.special != "none":
            shapes["special"] = ((2, *square, 3), np.uint8)
        return shapes
