"""What is cut from the frames of each clip: found in its onset frame, or given."""

import functools
from collections.abc import Mapping, Sequence

from data_builders import frame_files, landmarks
from data_builders.annotation import Clip
from data_builders.frame_set import FrameSet
from jmer.data.asking import choices, data_option
from jmer.data.exclusion import about_clip
from jmer.data.problems import Problem, Unusable, problem_of
from jmer.errors import JmerError
from jmer.preprocess.align import Box, Pose, Square
from jmer.preprocess.faces import Detector, detector, find_face

Squares = Mapping[tuple[str, str], Square]


def squares(
    data: FrameSet, clips: Sequence[Clip], bits: int = 16
) -> tuple[Squares, list[Problem]]:
    """The square of each clip by subject and clip, and a problem of each without one;
    `bits` as for `frame_files.decode`.

    Raises: JmerError if there is no detector, or the landmarks cannot be read.
    """
    if data.landmarks is None:
        locate = functools.partial(_detected, data, bits, detector())
    else:
        marks = landmarks.read_landmarks(data.landmarks)
        locate = functools.partial(_given, data, bits, marks)
    made, problems = dict[tuple[str, str], Square](), list[Problem]()
    for clip in clips:
        try:
            made[clip.row.key] = locate(clip)
        except JmerError as error:
            problems.append(about_clip(problem_of(error), clip.row.name))
    return made, problems


def _detected(data: FrameSet, bits: int, finder: Detector, clip: Clip) -> Square:
    start = clip.frames[clip.before]
    face = find_face(frame_files.decode([start], bits=bits)[0], finder)
    if face is None:
        cropped = "cropped" in choices(data, "source") and data.source != "cropped"
        other = f"{data_option('source', 'cropped')} or " * cropped
        raise Unusable(
            f"{start}: no face was found in the onset frame of clip "
            f"{clip.row.title}. Choose {other}{data_option('align', 'none')}, or give "
            f"the points of all faces with {data_option('landmarks', 'FILE')}.",
            "faces that were not found",
        )
    return Box.around(*face.box) if data.align == "crop" else Pose.of(face.points)


def _given(
    data: FrameSet,
    bits: int,
    marks: Mapping[landmarks.Key, landmarks.Marked | str],
    clip: Clip,
) -> Square:
    marked = marks.get(landmarks.key(*clip.row.key))
    if marked is None:
        raise Unusable(
            f"{data.landmarks}: no row of clip {clip.row.title}. Add it, or leave "
            f"{data_option('landmarks')} out to have all faces detected.",
            "clips without landmarks",
        )
    if isinstance(marked, str):
        raise Unusable(marked, "landmarks that cannot be")
    start = clip.frames[clip.before :][:1]
    height, width = frame_files.decode(start, bits=bits).shape[1:3]
    if problem := landmarks.outside(marked, height, width):
        raise Unusable(problem, "landmarks that cannot be")
    return (Box if data.align == "crop" else Pose).of(marked.points)
