"""Action units as motion of the skin, and the emotions that they combine to.

A motion field is a sum of Gaussian pulls on points of the face. Pulls are
written for one half of a face and mirrored, in units of the image side; a
field is in pixels, u to the right and v down.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jmer.synthetic.face import Face

# No field may stretch or squeeze the skin by more than this share: below 1, warps
# can be inverted, and the fixed-point iteration for the true flow converges.
MAX_STRETCH = 0.55
MAX_STRETCH_WITH_BLINK = 0.85


class Pull(NamedTuple):
    """A pull on the skin around a landmark, on one half of the face.

    Offsets and spreads are in units of the image side, `out` away from the
    midline; `vector` is (outward, down) relative to the rest of its action unit.
    """

    landmark: str
    offset: tuple[float, float]
    spread: tuple[float, float]
    vector: tuple[float, float]


ACTION_UNITS: dict[str, tuple[Pull, ...]] = {
    "1": (Pull("inner_brow", (0.01, -0.01), (0.060, 0.055), (0.0, -1.0)),),
    "2": (Pull("outer_brow", (0.0, -0.01), (0.065, 0.055), (0.1, -1.0)),),
    "4": (
        Pull("inner_brow", (0.0, 0.0), (0.055, 0.055), (-0.6, 0.8)),
        Pull("outer_brow", (-0.06, 0.0), (0.060, 0.050), (-0.2, 0.4)),
    ),
    "5": (Pull("eye", (0.0, -0.035), (0.070, 0.035), (0.0, -0.8)),),
    "6": (
        Pull("cheek", (0.0, 0.0), (0.080, 0.055), (-0.1, -0.8)),
        Pull("eye", (0.09, 0.02), (0.045, 0.045), (-0.5, -0.2)),
    ),
    "7": (
        Pull("eye", (0.0, 0.040), (0.070, 0.035), (0.0, -0.8)),
        Pull("eye", (0.0, -0.040), (0.070, 0.035), (0.0, 0.3)),
    ),
    "9": (
        Pull("nose", (-0.02, -0.05), (0.050, 0.060), (0.0, -1.0)),
        Pull("inner_brow", (-0.02, 0.03), (0.050, 0.050), (-0.1, 0.45)),
    ),
    "10": (
        Pull("mouth", (-0.075, -0.035), (0.060, 0.040), (0.0, -1.0)),
        Pull("nose", (0.03, 0.02), (0.040, 0.045), (0.1, -0.4)),
    ),
    "12": (
        Pull("mouth", (0.0, 0.0), (0.060, 0.050), (0.70, -0.75)),
        Pull("cheek", (-0.02, 0.05), (0.070, 0.060), (0.2, -0.4)),
    ),
    "14": (Pull("mouth", (0.015, 0.0), (0.050, 0.045), (0.9, -0.1)),),
    "15": (Pull("mouth", (0.0, 0.015), (0.055, 0.055), (0.15, 0.95)),),
    "17": (
        Pull("chin", (0.04, -0.01), (0.070, 0.055), (0.0, -0.9)),
        Pull("lower_lip", (0.04, 0.01), (0.060, 0.030), (0.0, -0.4)),
    ),
    "20": (Pull("mouth", (0.0, 0.01), (0.060, 0.050), (1.0, 0.15)),),
    "24": (
        Pull("lower_lip", (0.04, 0.0), (0.070, 0.035), (0.0, -0.6)),
        Pull("upper_lip", (0.04, 0.0), (0.070, 0.035), (0.0, 0.5)),
        Pull("mouth", (0.0, 0.0), (0.050, 0.040), (-0.4, 0.0)),
    ),
    "25": (
        Pull("lower_lip", (0.04, 0.0), (0.060, 0.045), (0.0, 0.6)),
        Pull("upper_lip", (0.04, 0.0), (0.060, 0.035), (0.0, -0.2)),
    ),
    "26": (
        Pull("chin", (0.05, 0.0), (0.110, 0.075), (0.0, 0.9)),
        Pull("lower_lip", (0.04, 0.0), (0.070, 0.045), (0.0, 0.4)),
    ),
}  # fmt: skip
CENTRAL = ("17", "24", "25", "26")  # cannot be shown by one side alone
BLINK = (
    Pull("eye", (0.0, -0.022), (0.075, 0.032), (0.0, 1.0)),
    Pull("eye", (0.0, 0.045), (0.060, 0.030), (0.0, -0.15)),
)


class Emotion(NamedTuple):
    """Action units by which an emotion shows: clear ones, and ambiguous ones."""

    typical: tuple[str, ...]
    confusable: tuple[str, ...]


EMOTIONS = {
    "happiness": Emotion(("6+12", "12", "6+12"), ("12+14", "6", "12+17", "12+24")),
    "disgust": Emotion(("9", "10", "4+9", "4+7+9", "4+7+10"), ("4+7", "7", "10+12")),
    "repression": Emotion(("14", "15", "17", "24", "15+17"), ("12+15", "12+24", "17")),
    "surprise": Emotion(("1+2", "1+2+5", "1+2+25", "1+2+5+26"), ("2", "1", "5+25")),
    "others": Emotion(("4", "4+7", "4+14"), ("1+2+4", "14", "7+12", "10", "17")),
    "anger": Emotion(("4+7", "4+5+7", "4+7+24"), ("7", "24")),
    "sadness": Emotion(("4+15", "15+17", "1+4+15"), ("1+4", "1", "17")),
    "fear": Emotion(("4+20", "1+4+20", "20+25"), ("1+2+4", "1+2+4+5", "5+20+25")),
}
CLASS_EMOTIONS = {
    "negative": ("disgust", "disgust", "anger", "sadness", "fear"),
    "positive": ("happiness",),
}


@dataclass(frozen=True)
class MotionField:
    """A sum of Gaussian pulls in pixels; see `__call__`."""

    centres: Float32[np.ndarray, "k 2"]
    spreads: Float32[np.ndarray, "k 2"]
    vectors: Float32[np.ndarray, "k 2"]

    def __call__(self, points: Float32[np.ndarray, "2 n"]) -> np.ndarray:
        """Displacement (u, v) at points (x, y): float32 [2, n], all in pixels."""
        return self.vectors.T @ self._weights(points)

    def _weights(self, points: np.ndarray) -> np.ndarray:
        scaled = (points - self.centres[..., None]) / self.spreads[..., None]
        scaled *= scaled
        return np.exp(-0.5 * (scaled[:, 0] + scaled[:, 1]))

    def stretch(self, points: Float32[np.ndarray, "2 n"]) -> np.ndarray:
        """Norm of the displacement's derivative at `points`: float32 [n]."""
        away = (self.centres[..., None] - points) / self.spreads[..., None] ** 2
        slope = self._weights(points)[:, None] * away
        jacobian = np.einsum("ku,kxn->uxn", self.vectors, slope)
        return np.sqrt((jacobian**2).sum((0, 1)))

    def times(self, factor: float) -> "MotionField":
        """The same field, `factor` times as strong."""
        return MotionField(
            self.centres, self.spreads, np.float32(factor) * self.vectors
        )

    @cached_property
    def still(self) -> bool:
        """Whether nothing moves."""
        return not self.vectors.any()


def landmarks(face: Face) -> dict[str, tuple[float, float]]:
    """Named points as (distance from the midline, y), in units of the image side."""
    return {
        "inner_brow": (face.brow_x - 0.7 * face.brow_half, face.brow_y),
        "outer_brow": (face.brow_x + 0.6 * face.brow_half, face.brow_y),
        "eye": (face.eye_x, face.eye_y),
        "cheek": (face.eye_x + 0.035, (face.eye_y + face.nose_y) / 2 + 0.045),
        "nose": (face.nose_half, face.nose_y),
        "mouth": (face.mouth_half, face.mouth_y),
        "upper_lip": (0.0, face.mouth_y - face.lip),
        "lower_lip": (0.0, face.mouth_y + face.lip),
        "chin": (0.0, face.chin_y),
    }


def pull_field(
    face: Face, pulls: list[tuple[Pull, float, float]], size: int
) -> MotionField:
    """The field of `(pull, gain on the image left, gain on the image right)`s."""
    points = landmarks(face)
    rows = []
    for pull, *gains in pulls:
        x, y = points[pull.landmark]
        x, y = x + pull.offset[0], y + pull.offset[1]
        for side, gain in zip((-1, 1), gains, strict=True):
            centre = (0.5 + side * x, y)
            vector = (side * gain * pull.vector[0], gain * pull.vector[1])
            rows.append((centre, pull.spread, vector))
    centres, spreads, vectors = np.array(rows, np.float32).transpose(1, 0, 2)
    return MotionField(centres * size - 0.5, spreads * size, vectors)


def expression_field(
    face: Face, action_units: str, size: int, *, peak: float = 1.0,
    asymmetry: float = 0.0, weights: tuple[float, ...] | None = None,
) -> MotionField:  # fmt: skip
    """The motion of `action_units`, such as '6+12' or 'R12'.

    R and L are the right and left of the person, as coders write them: R is on
    the left of the image. `peak` is the largest displacement in pixels, less
    where the skin would stretch by more than `MAX_STRETCH`; `asymmetry` in -1
    to 1 favours the image's left (negative) or right; `weights` sets the action
    units against each other, equal if left out.

    Raises: KeyError for an unknown action unit.
    """
    names = action_units.split("+")
    pulls = []
    for name, weight in zip(names, weights or (1.0,) * len(names), strict=True):
        left = weight * (1 - asymmetry) * (not name.startswith("L"))
        right = weight * (1 + asymmetry) * (not name.startswith("R"))
        pulls += [(pull, left, right) for pull in ACTION_UNITS[name.lstrip("LR")]]
    field = pull_field(face, pulls, size)
    grid = pixel_grid(size)
    field = field.times(peak / float(np.sqrt((field(grid) ** 2).sum(0)).max()))
    return field.times(min(1.0, MAX_STRETCH / float(field.stretch(grid).max())))


def blink_field(face: Face, size: int, expression: MotionField) -> MotionField:
    """The motion of closing both eyes as far as the warp stays invertible."""
    field = pull_field(face, [(pull, 1.0, 1.0) for pull in BLINK], size)
    grid = pixel_grid(size)
    field = field.times(2 * face.eye_open * size)
    room = MAX_STRETCH_WITH_BLINK - expression.stretch(grid)
    return field.times(min(1.0, float((room / (field.stretch(grid) + 1e-6)).min())))


def pixel_grid(size: int, oversample: int = 1) -> np.ndarray:
    """Pixel centres (x, y) in row order: float32 [2, (size * oversample) ** 2].

    Whole numbers are pixel centres; `oversample` divides every pixel evenly.
    """
    axis = (np.arange(size * oversample, dtype=np.float32) + 0.5) / oversample - 0.5
    x, y = np.meshgrid(axis, axis)
    return np.stack([x.ravel(), y.ravel()])
