"""Five or 68 points of the face in the onset frame of each clip, as a user has them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from data_builders.annotation import subject_number
from data_builders.sheet_files import is_file
from data_builders.sheets import Line, read_table
from jmer.data.asking import data_option
from jmer.data.tables import read_tables
from jmer.errors import JmerError, quoted, shortened
from jmer.preprocess.align import POINTS, SMALLEST, Pose
from jmer.preprocess.points68 import COUNT, JAW, five_of

Key = tuple[int | None, str]
COLUMNS = ("subject", "clip", *(f"{name}_{axis}" for name in POINTS for axis in "xy"))
NAMES_68 = tuple(f"point {i}" for i in range(COUNT))
COLUMNS_68 = ("subject", "clip", *(f"{a}_{i}" for i in range(COUNT) for a in "xy"))
"""As OpenFace calls them: x_0 to x_67 and y_0 to y_67."""
LISTED = f"{', '.join(COLUMNS)}; or subject, clip, x_0, y_0 and so on to x_67, y_67"


@dataclass(frozen=True)
class Marked:
    """The points of a clip, in pixels of the published frame, and where they stand."""

    where: str
    points: Float64[np.ndarray, "m 2"]


def key(subject: str, clip: str) -> Key:
    """Subjects are told apart by number, as in sheets: 006 may have become 6."""
    return subject_number(subject), clip.strip().lower()


def read_landmarks(path: Path) -> dict[Key, Marked | str]:
    """The points of each clip, or what is wrong with its row: file, row and remedy.

    A table (.csv, .xlsx or .xls) with the columns subject, clip, left_eye_x,
    left_eye_y, and so on for `POINTS`; or x_0, y_0 and so on to 67, for 68 points in
    the order of `points68`. Rows of clips that nobody asks for do no harm.

    Raises: JmerError if it cannot be read or lacks a column.
    """
    _require(path)
    made: dict[Key, Marked | str] = {}
    first: dict[Key, str] = {}
    names = COLUMNS_68 if _has_68(path) else COLUMNS
    columns = {name: (name,) for name in names}
    remedy = f"It needs the columns {LISTED}."
    for line in read_table(path, columns, numbers=names[2:], remedy=remedy):
        title = shortened(f"{line.values['subject']}/{line.values['clip']}")
        name = key(line.values["subject"], line.values["clip"])
        if name in first:
            made[name] = (
                f"{line.where}: duplicate clip {title}, first in {first[name]}. Remove "
                f"one of the two."
            )
        else:
            first[name] = line.where.rsplit(", ", 1)[-1]
            problem = _problem(line, names[2:], title)
            made[name] = problem or Marked(line.where, _points(line, names[2:]))
    return made


def outside(marked: Marked, height: int, width: int) -> str:
    """What is wrong with points that an image of this size cannot have, or nothing."""
    # Of a face that was cut out closely, the jaw may be cut off.
    names = POINTS if len(marked.points) == len(POINTS) else NAMES_68
    inside = list(zip(names, marked.points.tolist(), strict=True))
    for name, (x, y) in inside[len(JAW) if names is NAMES_68 else 0 :]:
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
            f"the columns {LISTED}, or leave "
            f"{data_option('landmarks')} out."
        )


def _has_68(path: Path) -> bool:
    """Whether a row of its beginning names such a column."""
    return any(
        re.sub(r"[\s_]+", "", cell).lower() in ("x0", "x67")
        for table in read_tables(path)
        for row in table.rows[:20]
        for cell in row
    )


def _points(line: Line, names: Sequence[str]) -> Float64[np.ndarray, "m 2"]:
    return np.array([float(line.values[name]) for name in names]).reshape(-1, 2)


def _problem(line: Line, names: Sequence[str], title: str) -> str:
    for name in names:
        if not _is_number(line.values[name]):
            return (
                f"{line.where}: {name} {quoted(line.values[name])} of clip {title} is "
                f"no number. Correct it."
            )
    points = _points(line, names)
    five = points if len(points) == len(POINTS) else five_of(points)
    left_eye, right_eye, _, mouth_left, mouth_right = five
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
