"""The pixels of a clip: decoded, cut out, and turned into what is stored."""

import functools

import numpy as np

from data_builders import frame_files
from data_builders.annotation import Clip
from data_builders.frame_set import FrameSet
from jmer.data import exclusion
from jmer.data.problems import problem_of
from jmer.errors import JmerError
from jmer.preprocess.align import Square
from jmer.preprocess.tensors import Interval, features, resize


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
    rate = clip.row.frame_rate or data.frame_rate
    return features(data, shown, interval, clip.row.title, frame_rate=rate)


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
    moving = clip.row.title
    if data.modality == "apex-flow":
        # Of a long clip in full size, only the two frames that it takes. Flow is
        # estimated before it is shrunk, of an aligned face as of a whole frame.
        ends = [clip.frames[i] for i in clip.interval[:2]]
        if clip.apex == clip.onset:
            moving = ""
        cut = None if square is None else square.cut
        return frame_files.decode(ends, cut, bits=bits, moving=moving)
    shrunk = functools.partial(_shrunk, square, data.size)
    return frame_files.decode(clip.frames, shrunk, bits=bits, moving=moving)


def _shrunk(square: Square | None, size: int, frame: np.ndarray) -> np.ndarray:
    """The part of a frame that is stored, right away: whole clips in full are large."""
    return resize(frame[None], size)[0] if square is None else square.cut(frame, size)
