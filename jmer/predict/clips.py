"""A clip for the network: from frames that were cut to what the recipe stores."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from jmer.models.base import NetworkConfig
from jmer.predict.recipe import Seen
from jmer.predict.source import Picture
from jmer.preprocess.align import Square, shrunk
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.flow import farneback
from jmer.preprocess.tensors import Interval, resize

LOOKED = 64
"""Side of the frames in which an apex is looked for, in pixels."""
CANDIDATES = 24
"""Frames of a clip that may be its apex, evenly apart."""


class CutFrame(NamedTuple):
    """What is kept of a frame until its clips are made."""

    small: UInt8[np.ndarray, "n n 3"]
    """As it is stored, or of flow from onset to apex, small enough to find that in."""
    full: Picture | None = None
    """The face at its own size, where something is made of that."""


def needs_full(seen: Seen) -> bool:
    """Whether something is made of frames before they are made small."""
    recipe = seen.recipe
    drawn = recipe.special == "of" and recipe.tracks == "direct"
    return recipe.modality == "apex-flow" or drawn


def cut_frame(seen: Seen, square: Square | None, picture: Picture) -> CutFrame:
    """What a clip needs of a frame."""
    recipe = seen.recipe
    flow = recipe.modality == "apex-flow"
    side = min(LOOKED, min(picture.shape[:2])) if flow else recipe.size
    small = shrunk(square, side, "area" if flow else recipe.resize, picture)
    if not needs_full(seen):
        return CutFrame(small)
    return CutFrame(small, picture if square is None else square.cut(picture))


def find_apex(frames: UInt8[np.ndarray, "t h w 3"]) -> int:
    """The frame of a clip whose face moved the most since the first one, but for what
    all of it moved alike.

    By Farnebäck's flow, smoothed over neighbouring frames: of each, the mean length of
    its vectors less their mean.
    """
    if len(frames) < 3:
        return len(frames) - 1
    side = min(LOOKED, *frames.shape[1:3])
    small = resize(frames, side) if frames.shape[1:3] != (side, side) else frames
    some = np.unique(np.linspace(1, len(frames) - 1, CANDIDATES).round().astype(int))
    moved = np.array([_moved(small[0], small[i]) for i in some])
    smooth = np.convolve(np.pad(moved, 1, "edge"), [0.25, 0.5, 0.25], "valid")
    return int(some[smooth.argmax()])


def _moved(first: np.ndarray, second: np.ndarray) -> float:
    flow = farneback(first, second)
    flow -= flow.mean((0, 1))
    return float(np.linalg.norm(flow, axis=-1).mean())


def make(
    seen: Seen,
    network: NetworkConfig,
    frames: Sequence[CutFrame],
    interval: Interval,
    name: str,
    frame_rate: float = 0.0,
) -> dict[str, np.ndarray]:
    """What the network sees of a clip, exactly as the recipe stores it.

    `frames` and `interval` are those of a recording: with the context that the recipe
    has, and where onset, apex and offset are in it.
    """
    if seen.recipe.modality == "apex-flow":
        ends = [frames[i].full for i in interval[:2]]
        assert ends[0] is not None and ends[1] is not None
        return seen.arrays(
            np.stack([ends[0], ends[1]]), (0, 1, 1), name, network=network
        )
    full = [frames[i].full for i in interval] if needs_full(seen) else []
    return seen.arrays(
        np.stack([frame.small for frame in frames]),
        interval,
        name,
        moments=[image for image in full if image is not None] or None,
        frame_rate=frame_rate,
        network=network,
    )


def of_window(
    seen: Seen, network: NetworkConfig, frames: Sequence[CutFrame], name: str
) -> tuple[dict[str, np.ndarray], int]:
    """What the network sees of a window, all of which is the clip; and its apex, a
    number in `frames`."""
    recipe, n = seen.recipe, seen.recipe.frames
    if seen.how == "none" and recipe.modality != "apex-flow":
        # Of a video that is too short, its last frame stays.
        frames = [*frames, *[frames[-1]] * (n - len(frames))]
    last = len(frames) - 1
    apex = last // 2
    if seen.how == "apex-window":
        apex = min(n // 2, last)
    elif seen.needs_apex:
        apex = find_apex(np.stack([frame.small for frame in frames]))
    # Frames are at the recipe's distance already, and no more are to come.
    seen = dataclasses.replace(seen, recipe=_alone(recipe))
    return make(seen, network, frames, (0, apex, last), name), apex


def _alone(recipe: ClipRecipe) -> ClipRecipe:
    """The recipe for frames that were chosen already, without others around them."""
    fields: dict[str, Any] = {"context": 0, "stride": 1, "stride_ms": 0.0}
    plain = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(ClipRecipe)}
    return ClipRecipe(**{**plain, **fields})
