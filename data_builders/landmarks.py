"""Five points of the face in the onset frame of each clip, as a user gives them."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from data_builders.annotation import subject_number
from data_builders.sheet_files import is_file
from data_builders.sheets import Line, read_table
from jmer.data.asking import data_option
from jmer.errors import JmerError, quoted, shortened
from jmer.preprocess.align import POINTS, SMALLEST, Pose

Key = tuple[int | None, str]
COLUMNS = ("subject", "clip", *(f"{name}_{axis}" for name in POINTS for axis in "xy"))


@dataclass(frozen=True)
class Marked:
    """The points of a clip, in pixels of the published frame, and where they stand."""

    where: str
    points: Float64[np.ndarray, "5 2"]


def key(subject: str, clip: str) -> Key:
    """Subjects are told apart by number, as in sheets: 006 may have become 6."""
    return subject_number(subject), clip.strip().lower()


def read_landmarks(path: Path) -> dict[Key, Marked | str]:
    """The points of each clip, or what is wrong with its row: file, row and remedy.

    A table (.csv, .xlsx or .xls) with the columns subject, clip, left_eye_x,
    left_eye_y, and so on for `POINTS`. Rows of clips that nobody asks for do no harm.

    Raises: JmerError if it cannot be read or lacks a column.
    """
    _require(path)
    made: dict[Key, Marked | str] = {}
    first: dict[Key, str] = {}
    columns = {name: (name,) for name in COLUMNS}
    remedy = f"It needs the columns {', '.join(COLUMNS)}."
    for line in read_table(path, columns, numbers=COLUMNS[2:], remedy=remedy):
        title = shortened(f"{line.values['subject']}/{line.values['clip']}")
        name = key(line.values["subject"], line.values["clip"])
        if name in first:
            made[name] = (
                f"{line.where}: duplicate clip {title}, first in {first[name]}. Remove "
                f"one of the two."
            )
        else:
            first[name] = line.where.rsplit(", ", 1)[-1]
            made[name] = _problem(line, title) or Marked(line.where, _points(line))
    return made


def outside(marked: Marked, height: int, width: int) -> str:
    """What is wrong with points that an image of this size cannot have, or nothing."""
    for name, (x, y) in zip(POINTS, marked.points.tolist(), strict=True):
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            return (
                f"{marked.where}: {name} ({x:g}, {y:g}) is outside the onset frame, "
                f"which is {width}x{height}. Give pixels of the published frame."
            )
    return ""


def _require(path: Path) -> None:
    if not is_file(path):
        raise JmerError(
            f"landmarks file {path} does not exist or is no file: give a table with "
            f"the columns {', '.join(COLUMNS)}, or leave "
            f"{data_option('landmarks')} out."
        )


def _points(line: Line) -> Float64[np.ndarray, "5 2"]:
    numbers = [float(line.values[name]) for name in COLUMNS[2:]]
    return np.array(numbers).reshape(5, 2)


def _problem(line: Line, title: str) -> str:
    for name in COLUMNS[2:]:
        if not _is_number(line.values[name]):
            return (
                f"{line.where}: {name} {quoted(line.values[name])} of clip {title} is "
                f"no number. Correct it."
            )
    points = _points(line)
    left_eye, right_eye, _, mouth_left, mouth_right = points
    if left_eye[0] >= right_eye[0] or mouth_left[0] >= mouth_right[0]:
        return (
            f"{line.where}: a left point of clip {title} is not left of its right one. "
            f"Left is left in the image: swap the columns."
        )
    if max(left_eye[1], right_eye[1]) >= min(mouth_left[1], mouth_right[1]):
        return (
            f"{line.where}: the mouth of clip {title} is not below the eyes. y counts "
            f"downwards from the top of the image: correct it."
        )
    if Pose.of(points).side < SMALLEST:
        return (
            f"{line.where}: the face of clip {title} is smaller than {SMALLEST} "
            f"pixels. Give pixels, not parts of the image."
        )
    return ""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
