"""The square that is cut from every frame of a clip, so that faces lie alike.

One square serves all frames of a clip: motion between them survives. Coordinates are in
pixels (right, down) of the published frame, and (0, 0) is the middle of the top left
pixel. What a square has beyond the frame repeats the pixel of the border that is
nearest: black would be an edge, which flow follows.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from jmer.preprocess.points68 import COUNT, TEMPLATE_68
from jmer.preprocess.tensors import resize

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Pupils, tip of the nose and corners of the mouth; left is left in the image."""
TEMPLATE = np.array(
    [[0.33, 0.36], [0.67, 0.36], [0.50, 0.59], [0.36, 0.73], [0.64, 0.73]]
)
"""Where they lie in an aligned face, in parts of its side from its top left corner:
about the proportions of an adult's face, from above the brows to the chin."""
MARGIN = 0.1
"""What is added to the longer side of a detected box, at each end, in parts of it:
detectors cut brows and chins."""
SMALLEST = 16
"""Side of the smallest face worth cutting, in pixels."""


@dataclass(frozen=True)
class Box:
    """An upright square: columns x to x + side - 1, and as many rows from y."""

    x: int
    y: int
    side: int

    @classmethod
    def about(cls, x: float, y: float, side: float) -> "Box":
        """The square of whole pixels whose middle is nearest to (x, y)."""
        whole = max(1, round(side))
        corner = [math.floor(middle - (whole - 1) / 2 + 0.5) for middle in (x, y)]
        return cls(corner[0], corner[1], whole)

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> "Box":
        """A detected box made square about its middle, with `MARGIN` at each end."""
        side = (1 + 2 * MARGIN) * max(width, height)
        return cls.about(x + (width - 1) / 2, y + (height - 1) / 2, side)

    @classmethod
    def of(cls, points: Float[np.ndarray, "m 2"]) -> "Box":
        """The square that `Pose` makes of the points, set upright about its middle."""
        pose = Pose.of(points)
        middle = pose.to_frame(np.array([0.5, 0.5]))
        return cls.about(float(middle[0]), float(middle[1]), pose.side)

    def cut(
        self, frame: UInt8[np.ndarray, "h w 3"], size: int | None = None
    ) -> UInt8[np.ndarray, "size size 3"]:
        """The pixels themselves, or resized as frames are that nothing is cut from."""
        height, width = frame.shape[:2]
        x, y, side = self.x, self.y, self.side
        left, top = max(0, -x), max(0, -y)
        right, bottom = max(0, x + side - width), max(0, y + side - height)
        if left or top or right or bottom:
            frame = cv2.copyMakeBorder(
                frame, top, bottom, left, right, cv2.BORDER_REPLICATE
            )
            x, y = x + left, y + top
        square = np.ascontiguousarray(frame[y : y + side, x : x + side])
        return square if size is None else resize(square[None], size)[0]


@dataclass(frozen=True)
class Pose:
    """A turned square. A place z = x + iy of the frame is turn · z + shift in it, as
    a complex number in parts of its side from its top left corner.
    """

    turn: complex
    shift: complex

    @classmethod
    def of(
        cls,
        points: Float[np.ndarray, "m 2"],
        template: Float[np.ndarray, "m 2"] | None = None,
    ) -> "Pose":
        """The similarity that brings `points` nearest to `TEMPLATE`, or 68 points to
        `TEMPLATE_68`, or others to a `template` of their own.

        By least squares: Umeyama 1991, of which there is a closed form for the plane,
        since turning and scaling is the product with a complex number. Nothing is
        mirrored.
        """
        if template is None:
            template = TEMPLATE_68 if len(points) == COUNT else TEMPLATE
        there = _complex(template)
        here = _complex(points)
        away = here - here.mean()
        turn = np.vdot(away, there - there.mean()) / np.vdot(away, away)
        return cls(complex(turn), complex(there.mean() - turn * here.mean()))

    @property
    def side(self) -> float:
        """Of the square, in pixels of the frame."""
        return 1 / abs(self.turn)

    def to_face(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Where places of the frame lie in the square, in parts of its side."""
        return _pairs(self.turn * _complex(points) + self.shift)

    def to_frame(self, places: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Back again."""
        return _pairs((_complex(places) - self.shift) / self.turn)

    def cut(
        self, frame: UInt8[np.ndarray, "h w 3"], size: int | None = None
    ) -> UInt8[np.ndarray, "size size 3"]:
        """The square, upright, at `size` pixels; without it, at its own size, rounded.

        Sampled once, linearly, at steps of one pixel of the frame or less; where that
        makes more samples than pixels are wanted, k x k of them are averaged.
        """
        size = size or max(SMALLEST, round(self.side))
        n = size * math.ceil(self.side / size - 1e-9) if self.side > size else size
        step = 1 / (n * self.turn)
        start = (0.5 * (1 + 1j) / n - self.shift) / self.turn
        matrix = np.array(
            [[step.real, -step.imag, start.real], [step.imag, step.real, start.imag]]
        )
        fine = cv2.warpAffine(
            frame,
            matrix,
            (n, n),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return resize(fine[None], size)[0]


Square = Box | Pose


def shrunk(
    square: Square | None,
    size: int,
    how: str,
    frame: UInt8[np.ndarray, "h w 3"],
) -> UInt8[np.ndarray, "size size 3"]:
    """The part of a frame that is stored, right away: whole clips in full are large.

    A face that is cut out is sampled as `Box` and `Pose` say, a whole frame as `how`.
    """
    if square is None:
        return resize(frame[None], size, how)[0]
    return square.cut(frame, size)


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _pairs(numbers: np.ndarray) -> np.ndarray:
    return np.stack([numbers.real, numbers.imag], axis=-1)
