"""From decoded frames and their annotation to what a recipe stores."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float16, UInt8

from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.flow import apex_flow, estimate_pairs
from jmer.preprocess.flow_colours import flow_colours
from jmer.preprocess.temporal import Method, generator, native, resample
from jmer.preprocess.tracks import straight_tracks, tracks
from jmer.scores.intervals import linear_intensity

Interval = tuple[int, int, int]


def features(
    recipe: ClipRecipe,
    frames: UInt8[np.ndarray, "t h w 3"],
    interval: Interval,
    name: str,
    *,
    method: Method | None = None,
    moments: Sequence[UInt8[np.ndarray, "_ _ 3"]] | None = None,
    frame_rate: float = 0.0,
) -> tuple[dict[str, np.ndarray], Interval]:
    """The arrays of `recipe.shapes`, and (onset, apex, offset) in the stored clip.

    `frames` are RGB, `interval` is (onset, apex, offset) within them, and `name` is
    what the random choice of a clip depends on. `method` replaces `recipe.resample`.
    Frames are resized first, so `flow` is in pixels of the stored size. Beside
    `apex_flow`, no clip is stored, and the interval stays as it was. `frame_rate` is
    that of the recording, for `stride_ms`; 0 where it is unknown. `moments` are the
    frames of onset, apex and offset for `special` images, at their own size, where they
    are others than those of `frames`.

    Raises: ValueError unless 0 <= onset <= apex <= offset < t, or if more frames are to
    be kept as they are than `recipe.frames`; UsageError as `recipe.step`.
    """
    estimator = recipe.flow, recipe.flow_weights
    if recipe.modality == "apex-flow":
        onset, apex, _ = interval
        flow = apex_flow(frames, onset, apex, recipe.size, *estimator)
        return {"apex_flow": flow.astype(np.float16)}, interval
    small = resize(frames, recipe.size, recipe.resize)
    made: dict[str, np.ndarray] = {}
    if recipe.resample == "native":
        step = recipe.step(frame_rate)
        clip, stored, there = native(
            small, interval, recipe.frames, step=step, context=recipe.context
        )
        made["present"] = (np.arange(len(clip)) < there).astype(np.uint8)
    else:
        clip, stored = resample(
            small,
            interval,
            recipe.frames,
            method or recipe.resample,
            name=name,
            padding=recipe.padding,
            context=recipe.context,
            window=recipe.window,
        )
        there = len(clip)
    if recipe.modality in ("flow", "video"):
        made["flow"] = neighbour_flow(clip[:there], *estimator)
        # Nothing moves where no frames are.
        more = [(0, len(clip) - there)] + [(0, 0)] * 3
        made["flow"] = np.pad(made["flow"], more)
    if recipe.modality == "flow":
        return made, stored
    made["clip"] = clip
    if recipe.modality == "video":
        made["intensity"] = linear_intensity(*stored, len(clip))
    if recipe.special != "none":
        shown = [frames[i] for i in interval] if moments is None else moments
        made["special"] = special_images(recipe, small, interval, shown, name)
    return made, stored


def neighbour_flow(
    clip: UInt8[np.ndarray, "t h w 3"], method: str, weights: Path | None = None
) -> Float16[np.ndarray, "t-1 h w 2"]:
    """Flow from each frame to the next, in pixels (right, down)."""
    return estimate_pairs(clip[:-1], clip[1:], method, weights).astype(np.float16)


def special_images(
    recipe: ClipRecipe,
    small: UInt8[np.ndarray, "t h w 3"],
    interval: Interval,
    moments: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    name: str,
) -> UInt8[np.ndarray, "2 h w 3"]:
    """What `recipe.special` asks for: of frames in the size that is stored, and of
    those of onset, apex and offset at their own."""
    onset, apex, offset = interval
    if recipe.special == "of" and recipe.tracks == "chained":
        parts = small[onset : apex + 1], small[apex : offset + 1]
        return np.stack([tracks(part) for part in parts])
    if recipe.special == "of":
        drawn = [straight_tracks(a, b) for a, b in itertools.pairwise(moments)]
        return np.stack([resize(x[None], recipe.size, recipe.resize)[0] for x in drawn])
    if recipe.special == "random2":
        return small[random_frames(interval, name)]
    sized = [resize(x[None], recipe.size, recipe.resize)[0] for x in moments]
    if recipe.special == "dense":
        at = np.stack(sized)
        estimator = recipe.flow, recipe.flow_weights
        return flow_colours(estimate_pairs(at[:-1], at[1:], *estimator))
    return np.stack(sized[:2] if recipe.special == "sf" else sized[1:])


def random_frames(interval: Interval, name: str) -> list[int]:
    """Two frames of onset..offset, always the same of a clip `name`, in order of
    time."""
    onset, _, offset = interval
    rng = generator(name)
    there = np.arange(onset, offset + 1)
    # A single frame can only be shown twice.
    return sorted(rng.choice(there, 2, replace=len(there) < 2).tolist())


def resize(
    frames: UInt8[np.ndarray, "t h w 3"], size: int, how: str = "area"
) -> UInt8[np.ndarray, "t {size} {size} 3"]:
    """Each frame as a square of `size`: area averages, or linear to enlarge; linear
    always where `how` is bilinear."""
    height, width = frames.shape[1:3]
    if (height, width) == (size, size):
        return frames
    shrink = size <= min(height, width) and how == "area"
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.stack([cv2.resize(f, (size, size), interpolation=method) for f in frames])
