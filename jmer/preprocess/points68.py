"""The 68 points that annotate a face (Sagonas et al. 2013, "300 Faces in-the-Wild").

In their order, from the left of the image: 17 along the jaw, 5 a brow, 4 down the nose
and 5 below it, 6 around each eye, 12 around the lips and 8 inside them.
"""

import math

import numpy as np
from jaxtyping import Float

COUNT = 68
JAW = range(17)
LEFT_EYE, RIGHT_EYE = range(36, 42), range(42, 48)
NOSE, MOUTH_LEFT, MOUTH_RIGHT = 30, 48, 54
_HALF = {
    **{17: (0.20, 0.280), 18: (0.25, 0.245), 19: (0.31, 0.235), 20: (0.37, 0.245)},
    **{21: (0.43, 0.265), 31: (0.42, 0.630), 32: (0.46, 0.645), 36: (0.25, 0.365)},
    **{37: (0.30, 0.335), 38: (0.36, 0.335), 39: (0.41, 0.365), 40: (0.36, 0.380)},
    **{41: (0.30, 0.380), 48: (0.36, 0.730), 49: (0.41, 0.700), 50: (0.465, 0.685)},
    **{58: (0.46, 0.795), 59: (0.41, 0.775), 60: (0.385, 0.730), 61: (0.46, 0.720)},
    67: (0.46, 0.745),
}
"""Points left of the middle, in parts of the side of an aligned face."""
_MIDDLE = {
    **{27: 0.36, 28: 0.44, 29: 0.51, 30: 0.59, 33: 0.655, 51: 0.695, 57: 0.80},
    **{62: 0.722, 66: 0.75},
}
"""How far down those on it are."""
_OTHER = {
    **{17: 26, 18: 25, 19: 24, 20: 23, 21: 22, 31: 35, 32: 34, 36: 45, 37: 44, 38: 43},
    **{39: 42, 40: 47, 41: 46, 48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63},
    67: 65,
}
"""What each becomes in a mirror."""


def _template() -> Float[np.ndarray, "68 2"]:
    made = np.zeros((COUNT, 2))
    for i in JAW:
        turn = math.pi * i / (len(JAW) - 1)
        made[i] = 0.5 - 0.46 * math.cos(turn), 0.40 + 0.58 * math.sin(turn)
    for i, (x, y) in _HALF.items():
        made[i], made[_OTHER[i]] = (x, y), (1 - x, y)
    for i, y in _MIDDLE.items():
        made[i] = 0.5, y
    return made


TEMPLATE_68 = _template()
"""Where they lie in an aligned face, in parts of its side from its top left corner: a
face from the front, drawn around the five points of `align.TEMPLATE`."""


def five_of(points: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "5 2"]:
    """Middles of the eyes, tip of the nose and corners of the mouth."""
    eyes = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    return np.stack([*eyes, *points[[NOSE, MOUTH_LEFT, MOUTH_RIGHT]]])
