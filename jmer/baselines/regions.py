"""36 regions of a face by its 68 points.

Liu et al. 2016, figure 4, draws them around facial muscles. Their corners by points of
the face are those of the library meb (Varanka et al. 2023, meb/utils/
traditional_methods.py): points, middles of two, and points above the brows.
"""

from typing import NamedTuple

import numpy as np

from jmer.annotations import Bool, Float, Int
from jmer.preprocess.points68 import LEFT_EYE, RIGHT_EYE

COUNT = 36
OUTSIDE = -1
REACH = 0.35
"""How far from its middle a region goes, in distances of the eyes."""
RISE = 0.9
"""How far above the brows the forehead's middles are, in distances of brow and eye."""

LIFT = 20 / 112
"""How far above the brows the forehead's corners are, in parts of the image's side."""


class _Above(NamedTuple):
    """A place above a point."""

    point: int


_CHEEK, _NOSE, _LIP, _CHIN = (3, 29), (4, 33), (5, 59), (6, 58)
"""Middles of a point of the jaw and one of nose or mouth."""
_MIDDLE_CHIN, _UNDER_EYE = (8, 57), (2, 41)
_Corner = int | tuple[int, int] | _Above
_QUADS: tuple[tuple[_Corner, ...], ...] = (
    *((17, _Above(17), _Above(19), 19), (19, _Above(19), _Above(21), 21)),
    *((21, _Above(21), _Above(27), 27), (1, 0, 17, 36), (36, 17, 19, 38)),
    *((38, 19, 21, 39), (39, 21, 27, 28), (3, 2, _UNDER_EYE, _CHEEK)),
    *((_CHEEK, _UNDER_EYE, 41, 39), (_CHEEK, 39, 28, 29), (_NOSE, _CHEEK, 29, 33)),
    *((_LIP, _NOSE, 33, 59), (_CHIN, _LIP, 59, 58), (_MIDDLE_CHIN, _CHIN, 58, 57)),
    *((4, 3, _CHEEK, _NOSE), (5, 4, _NOSE, _LIP), (6, 5, _LIP, _CHIN)),
    *((8, 6, _CHIN, _MIDDLE_CHIN),),
)
"""Corners of the regions left of the face's own middle, in turn; above point 27, which
lies between the brows, is midway above both."""

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
    **{28: 28, 29: 29, 33: 33, 57: 57, 58: 56, 59: 55},
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


def drawn(
    points: Float[np.ndarray, "68 2"], size: int
) -> Bool[np.ndarray, "36 {size} {size}"]:
    """Which pixels of an image have their middle in which region, left ones first; of a
    region that has none, the pixel of its own middle. `points` are in parts of the
    image's side.
    """
    axis = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(axis, axis)
    made = np.zeros((COUNT, size, size), bool)
    for i, quad in enumerate(corners(points)):
        for (x1, y1), (x2, y2) in zip(quad, np.roll(quad, -1, 0), strict=True):
            if y1 != y2:  # whether a ray to the right crosses this side
                crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
                made[i] ^= ((y1 > y) != (y2 > y)) & (x < crossing)
        if not made[i].any():
            column, row = np.clip(quad.mean(0) * size, 0, size - 1).astype(int)
            made[i, row, column] = True
    return made


def corners(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "36 4 2"]:
    """Those of each region, in turn: of the left ones, and of their mirror images."""

    def place(corner: _Corner, turned: bool) -> np.ndarray:
        if isinstance(corner, _Above) and corner.point == 27:
            return (place(_Above(21), False) + place(_Above(22), False)) / 2
        own = (corner,) if isinstance(corner, int) else tuple(corner)
        there = points[[_MIRROR.get(i, i) if turned else i for i in own]].mean(0)
        if isinstance(corner, _Above):
            there = np.array([there[0], max(there[1] - LIFT, 0)])
        return there

    return np.array(
        [
            [place(corner, turned) for corner in quad]
            for turned in (False, True)
            for quad in _QUADS
        ]
    )
