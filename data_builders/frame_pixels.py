"""The pixels of a clip: decoded, cut out, and turned into what is stored."""

import functools

import numpy as np

from data_builders import frame_files
from data_builders.annotation import Clip
from data_builders.frame_set import FrameSet
from jmer.data import exclusion
from jmer.data.problems import problem_of
from jmer.errors import JmerError
from jmer.preprocess.align import Square, shrunk
from jmer.preprocess.tensors import Interval, features


def inputs(
    data: FrameSet, bits: int, clip: Clip, square: Square | None
) -> tuple[dict[str, np.ndarray], Interval]:
    """What is stored of a clip's frames, and where onset, apex and offset are in it.

    Raises: JmerError as `frames`.
    """
    shown, interval = frames(data, bits, clip, square), clip.interval
    if data.modality == "apex-flow":
        made = features(data, shown, (0, 1, 1), clip.row.title)
        return made[0], interval
    moments = _moments(data, bits, clip, square)
    rate = clip.row.frame_rate or data.frame_rate
    title = clip.row.title
    return features(data, shown, interval, title, frame_rate=rate, moments=moments)


def _moments(
    data: FrameSet, bits: int, clip: Clip, square: Square | None
) -> list[np.ndarray] | None:
    """The frames of onset, apex and offset, where those of the clip are too small to
    draw on, or the apex is none of them."""
    if data.special == "none":
        return None
    drawn = data.special == "of" and data.tracks == "direct"
    if clip.late_apex is None and not drawn:
        return None
    onset, apex, offset = (clip.frames[i] for i in clip.interval)
    paths = [onset, clip.late_apex or apex, offset]
    cut: frame_files.Crop | None = None if square is None else square.cut
    if not drawn:
        cut = functools.partial(shrunk, square, data.size, data.resize)
    return [frame_files.decode([path], cut, bits=bits)[0] for path in paths]


def frames(data: FrameSet, bits: int, clip: Clip, square: Square | None) -> np.ndarray:
    """What is read of a clip. Raises: JmerError for what cannot be used."""
    try:
        return _decoded(data, bits, clip, square)
    except JmerError as error:
        problem = problem_of(error)
        raise exclusion.UnusableClip(problem, clip.row.name) from error


def _decoded(
    data: FrameSet, bits: int, clip: Clip, square: Square | None
) -> np.ndarray:
    # Of a single frame, nothing is expected to move.
    moving = clip.row.title if len(clip.frames) > 1 else ""
    if data.modality == "apex-flow":
        # Of a long clip in full size, only the two frames that it takes. Flow is
        # estimated before it is shrunk, of an aligned face as of a whole frame.
        ends = [clip.frames[i] for i in clip.interval[:2]]
        if clip.apex == clip.onset:
            moving = ""
        cut = None if square is None else square.cut
        return frame_files.decode(ends, cut, bits=bits, moving=moving)
    small = functools.partial(shrunk, square, data.size, data.resize)
    return frame_files.decode(clip.frames, small, bits=bits, moving=moving)
