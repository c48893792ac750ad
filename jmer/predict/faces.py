"""Whose face is looked at, and the square that is cut out, every so often."""

import math
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np

from jmer.errors import JmerError, UsageError
from jmer.predict.source import Picture
from jmer.preprocess.align import Box, Pose, Square
from jmer.preprocess.faces import SMALLEST_FACE, Detector, FoundFace, find_faces
from jmer.synthetic.face import Face
from jmer.text import counted

Cut = Literal["none", "crop", "landmarks", "drawn"]
"""As `ClipRecipe.align`; and drawn: a face laid as synthetic faces lie in their frames.
"""
LEAST_SIDE = 4 * SMALLEST_FACE
"""Frames with a shorter side are enlarged for the detector where it sees no face: it
sees no small ones."""
FILLS = 0.75
"""A face fills the frame if its box is as large a part of the frame's shorter side: of
synthetic faces, whose frames are all face, boxes have about 0.85."""
MEAN = Face()
DRAWN = np.array(
    [
        [0.5 - MEAN.eye_x, MEAN.eye_y],
        [0.5 + MEAN.eye_x, MEAN.eye_y],
        [0.5, MEAN.nose_y],
        [0.5 - MEAN.mouth_half, MEAN.mouth_y],
        [0.5 + MEAN.mouth_half, MEAN.mouth_y],
    ]
)
"""Where the five points lie in the frames of synthetic faces, in parts of the side."""


@dataclass(frozen=True)
class Look:
    """What was seen when somebody looked for a face."""

    faces: int
    """How many there were; 1 where nobody looked."""
    box: tuple[float, float, float, float] | None
    """Left, top, width and height of the one that is followed, in pixels; None where
    there is none, or nobody looked."""
    square: Square | None
    """What is cut out; None for whole frames."""

    @property
    def usable(self) -> bool:
        return self.faces > 0

    @property
    def side(self) -> float | None:
        """Of the square, in pixels of the frame."""
        return None if self.square is None else float(self.square.side)


WHOLE = Look(1, None, None)
"""Of whole frames, in which nobody looked for a face."""


def all_faces(frame: Picture, finder: Detector) -> list[FoundFace]:
    """All faces from left to right, as data sets have them; where there is none, those
    that are seen once a small frame is enlarged."""
    scale = math.ceil(LEAST_SIDE / min(frame.shape[:2]))
    if (found := find_faces(frame, finder)) or scale <= 1:
        return found
    large = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return [
        FoundFace(
            (
                (one.box[0] + 0.5) / scale - 0.5,
                (one.box[1] + 0.5) / scale - 0.5,
                one.box[2] / scale,
                one.box[3] / scale,
            ),
            (one.points + 0.5) / scale - 0.5,
            one.confidence,
        )
        for one in find_faces(large, finder)
    ]


@dataclass
class Watcher:
    """Looks for the face of one person again and again.

    `which` says who it is where there are several at first: largest (as data sets are
    prepared), left, right, or the number of the face from the left, from 1. From then
    on it is whoever is nearest to where that one was.

    Raises: UsageError if `which` is nothing of that.
    """

    finder: Detector | None
    """None looks for nobody: frames are taken whole."""
    cut: Cut = "none"
    which: str = "largest"
    filled: bool = False
    """Whether square frames that a face fills are taken whole, for the frames of the
    training set were such."""
    last: FoundFace | None = None
    looks: list[tuple[int, Look]] = field(default_factory=list)
    side: int = 0
    """The shorter one of the frames."""

    def __post_init__(self) -> None:
        named = self.which in ("largest", "left", "right")
        if not named and not (self.which.isdecimal() and int(self.which) > 0):
            raise UsageError(
                f"face={self.which}: must be largest, left, right, or the number of "
                f"the face from the left, from 1"
            )

    def look(self, number: int, frame: Picture) -> Look:
        """At frame `number`.

        Raises: JmerError if the face that was asked for is not there at first.
        """
        self.side = min(frame.shape[:2])
        made = WHOLE if self.finder is None else self._seen(frame, self.finder)
        self.looks.append((number, made))
        return made

    def follow(self, box: tuple[float, float, float, float]) -> None:
        """From now on, whoever is nearest to that box."""
        self.last = FoundFace(box, np.zeros((5, 2)))

    def _seen(self, frame: Picture, finder: Detector) -> Look:
        faces = all_faces(frame, finder)
        if not faces:
            return Look(0, None, None)
        self.last = self._chosen(faces)
        return Look(len(faces), self.last.box, self._square(self.last, frame))

    def _chosen(self, faces: list[FoundFace]) -> FoundFace:
        if self.last is not None:
            before = _middle(self.last)
            return min(faces, key=lambda one: math.dist(_middle(one), before))
        if self.which == "largest":
            return max(faces, key=lambda one: one.weight)
        if self.which in ("left", "right"):
            return faces[0 if self.which == "left" else -1]
        if int(self.which) > len(faces):
            there = "is" if len(faces) == 1 else "are"
            raise JmerError(
                f"--face {self.which}: there {there} {counted(len(faces), 'face')} "
                f"where it was first looked. Give a number from 1 to {len(faces)}, "
                f"from the left."
            )
        return faces[int(self.which) - 1]

    def _square(self, face: FoundFace, frame: Picture) -> Square | None:
        high, wide = frame.shape[:2]
        fills = high == wide and max(face.box[2:]) >= FILLS * wide
        if self.cut == "none" or (self.filled and fills):
            return None
        if self.cut == "crop":
            return Box.around(*face.box)
        if self.cut == "landmarks":
            return Pose.of(face.points)
        return Pose.of(face.points, DRAWN)


def _middle(face: FoundFace) -> tuple[float, float]:
    left, top, width, height = face.box
    return left + width / 2, top + height / 2
