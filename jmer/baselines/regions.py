"""36 regions of a face by its 68 points."""

import numpy as np

from jmer.annotations import Float, Int
from jmer.preprocess.points68 import LEFT_EYE, RIGHT_EYE

COUNT = 36
OUTSIDE = -1
REACH = 0.35
"""How far from its middle a region goes, in distances of the eyes."""
RISE = 0.9
"""How far above the brows the forehead's middles are, in distances of brow and eye."""

_LEFT: tuple[tuple[int, ...], ...] = (
    *((17, 18), (19,), (20, 21)),  # brow
    *((0, 36), (37, 38), (40, 41), (39, 27)),  # around the eye
    *((41, 31), (31, 32), (1, 2, 3, 31), (3, 4, 48)),  # cheek and nose
    (48,),  # corner of the mouth
)
"""Points whose mean is the middle of a region left of the face's own middle."""
_FOREHEAD = (18, 19, 21)
"""Points above which the forehead has a region, on the left."""
_MIDDLE: tuple[tuple[int, ...], ...] = (
    *((21, 22, 27), (29,)),  # between the brows, ridge of the nose
    *((30, 33), (51, 62), (57, 66), (8, 57)),  # tip, upper and lower lip, chin
)
"""And of those on it."""
_MIRROR = {
    **{i: 16 - i for i in range(17)},
    **{17: 26, 18: 25, 19: 24, 20: 23, 21: 22, 27: 27, 31: 35, 32: 34, 36: 45},
    **{37: 44, 38: 43, 39: 42, 40: 47, 41: 46, 48: 54},
}


def middles(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "36 2"]:
    """The middles of all regions: left, right, and between."""
    made: list[np.ndarray] = []
    for eye, turned in ((LEFT_EYE, False), (RIGHT_EYE, True)):
        there = [tuple(_MIRROR[i] if turned else i for i in own) for own in _LEFT]
        made += [points[list(own)].mean(0) for own in there]
        middle = points[list(eye)].mean(0)
        for i in _FOREHEAD:
            brow = points[_MIRROR[i] if turned else i]
            made.append(brow + RISE * np.array([0, (brow - middle)[1]]))
    return np.stack(made + [points[list(own)].mean(0) for own in _MIDDLE])


def regions(
    points: Float[np.ndarray, "68 2"], size: int
) -> Int[np.ndarray, "{size} {size}"]:
    """Which region each pixel of an image lies in: that whose middle is nearest, or
    `OUTSIDE` where none is near. `points` are in parts of the image's side.
    """
    places = middles(points)
    eyes = [points[list(eye)].mean(0) for eye in (LEFT_EYE, RIGHT_EYE)]
    reach = REACH * float(np.linalg.norm(eyes[0] - eyes[1]))
    axis = (np.arange(size) + 0.5) / size
    grid = np.stack(np.meshgrid(axis, axis), -1)  # right, down
    far = np.linalg.norm(grid[:, :, None] - places, axis=-1)
    return np.where(far.min(-1) <= reach, far.argmin(-1), OUTSIDE)
