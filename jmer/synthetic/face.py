"""Faces: landmarks of an identity, and the texture painted around them.

Coordinates are in units of the image side, x to the right and y down, with
(0, 0) the top left corner of the image. A texture reaches `MARGIN` beyond it
on each side and has `SCALE` texels per pixel of the rendered frame.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from jmer.synthetic.spec import SyntheticSpec

Plane = Float32[np.ndarray, "n n"]
Painting = Float32[np.ndarray, "n n 3"]
SCALE = 4
MARGIN = 0.125


@dataclass(frozen=True)
class Face:
    """Where things are on a face; the defaults are the mean face."""

    width: float = 0.47  # half the width of the head
    brow_x: float = 0.185  # from the midline to the middle of a brow
    brow_y: float = 0.275
    brow_half: float = 0.115
    brow_bend: float = 0.03
    brow_thick: float = 0.014
    eye_x: float = 0.185
    eye_y: float = 0.385
    eye_half: float = 0.078
    eye_open: float = 0.036
    nose_y: float = 0.60
    nose_half: float = 0.075
    mouth_y: float = 0.765
    mouth_half: float = 0.155
    mouth_bend: float = 0.004
    lip: float = 0.030
    chin_y: float = 0.93
    tone: float = 0.35  # 0 light skin, 1 dark
    hair: float = 0.3  # 0 black, 1 fair
    hairline: float = 0.10
    light: float = 0.0  # direction of the light, -1 left to 1 right
    contrast: float = 0.18  # strength of the shading


SPREAD = {
    "width": 0.02, "brow_x": 0.01, "brow_y": 0.020, "brow_half": 0.01,
    "brow_bend": 0.015, "brow_thick": 0.004, "eye_x": 0.009, "eye_y": 0.012,
    "eye_half": 0.007, "eye_open": 0.006, "nose_y": 0.014, "nose_half": 0.009,
    "mouth_y": 0.018, "mouth_half": 0.015, "mouth_bend": 0.013, "lip": 0.006,
    "chin_y": 0.01, "tone": 0.25, "hair": 0.22, "hairline": 0.035, "light": 0.5,
    "contrast": 0.05,
}  # fmt: skip


def draw_face(spec: SyntheticSpec, subject: int) -> Face:
    """The face of a subject: the mean face at `identities` 0."""
    rng = np.random.default_rng([1, spec.seed, subject])
    mean = Face()
    steps = np.clip(rng.standard_normal(len(fields(Face))), -1.8, 1.8)
    moved = {
        field.name: getattr(mean, field.name)
        + float(step) * spec.identities * SPREAD[field.name]
        for field, step in zip(fields(Face), steps, strict=True)
    }
    for name in ("tone", "hair"):
        moved[name] = min(max(moved[name], 0.0), 1.0)
    return replace(mean, **moved)


@lru_cache(maxsize=4)
def face_texture(spec: SyntheticSpec, subject: int) -> Painting:
    """The texture of a subject: float32 [n, n, 3] RGB, 0 to 255, read-only.

    n is 5 times `spec.size`: four texels per pixel, and the margins.
    """
    face = draw_face(spec, subject)
    texels = round(SCALE * spec.size * (1 + 2 * MARGIN))
    axis = (np.arange(texels, dtype=np.float32) + 0.5) / (SCALE * spec.size) - MARGIN
    x, y = np.meshgrid(axis - 0.5, axis)
    image = _skin(face, x, y, _detail(spec, subject, texels))
    for paint in (_nose, _mouth, _eyes, _brows):
        paint(image, face, np.abs(x), y)
    _hair(image, face, x, y)
    image *= _shading(face, x, y)[..., None]
    # Nothing finer than the rendering grid, which samples every other texel.
    image = cv2.GaussianBlur(image, (0, 0), 0.8).clip(0, 255)
    image.setflags(write=False)
    return image


def _soft(distance: Plane, width: float = 0.012) -> Plane:
    """1 inside (negative distance) to 0 outside, smooth over `width`."""
    t = np.clip(0.5 - distance / width, 0, 1)
    return t * t * (3 - 2 * t)


def _ellipse(dx: Plane, dy: Plane, rx: float, ry: float, width: float = 0.012) -> Plane:
    radius = np.sqrt((dx / rx) ** 2 + (dy / ry) ** 2)
    return _soft((radius - 1) * min(rx, ry), width)


def _glow(dx: Plane | float, dy: Plane | float, rx: float, ry: float) -> Plane:
    return np.exp(-0.5 * ((dx / rx) ** 2 + (dy / ry) ** 2))


def _mix(image: Painting, mask: Plane, colour: ArrayLike) -> None:
    """Paints `colour` (RGB, 0 to 255) over `image`, in place."""
    image += mask[..., None] * (np.asarray(colour, np.float32) - image)


def _shade(image: Painting, mask: Plane, factor: float) -> None:
    """Multiplies by `factor` where `mask` is 1, in place."""
    image *= (1 + (factor - 1) * mask)[..., None]


def _detail(spec: SyntheticSpec, subject: int, texels: int) -> Plane:
    """Pores to blotches: noise of four scales, shared by all at identities 0."""
    total = np.zeros((texels, texels), np.float32)
    own = np.random.default_rng([2, spec.seed, subject])
    common = np.random.default_rng([3, spec.seed])
    mine = np.sin(spec.identities * np.pi / 2)
    others = np.cos(spec.identities * np.pi / 2)
    for share, strength in ((0.006, 0.030), (0.014, 0.028), (0.04, 0.025), (0.1, 0.03)):
        white = mine * own.standard_normal((texels, texels), np.float32)
        white += others * common.standard_normal((texels, texels), np.float32)
        sigma = share * SCALE * spec.size
        smooth = cv2.GaussianBlur(white.astype(np.float32), (0, 0), sigma)
        total += strength * smooth / smooth.std()
    return total


def _skin(face: Face, x: Plane, y: Plane, detail: Plane) -> Painting:
    light, dark = (
        np.array([232, 192, 168], np.float32),
        np.array([120, 78, 58], np.float32),
    )
    image = np.empty((*x.shape, 3), np.float32)
    image[:] = light + face.tone * (dark - light)
    image *= (1 + detail)[..., None]
    cheek = _glow(np.abs(x) - 0.24, y - 0.58, 0.09, 0.08)
    image *= 1 + cheek[..., None] * np.array([0.05, -0.03, -0.03], np.float32)
    _shade(image, _glow(x, y - face.chin_y, 0.10, 0.05), 1.06)
    return image


def _nose(image: Painting, face: Face, side: Plane, y: Plane) -> None:
    length = np.clip((y - face.eye_y) / (face.nose_y - face.eye_y), 0, 1)
    inside = _soft(np.abs(y - (face.eye_y + face.nose_y) / 2) - 0.11, 0.08)
    edge = 0.03 + (face.nose_half - 0.03) * length**2
    _shade(image, inside * _glow(side - edge, 0, 0.018, 1), 0.86)
    _shade(image, inside * _glow(side, 0, 0.016, 1), 1.10)
    _shade(image, _glow(side, y - face.nose_y - 0.03, face.nose_half, 0.018), 0.80)
    wing = _glow(side - face.nose_half, y - face.nose_y + 0.005, 0.012, 0.025)
    _shade(image, wing, 0.78)
    nostril = _ellipse(side - 0.45 * face.nose_half, y - face.nose_y, 0.021, 0.011)
    _shade(image, nostril, 0.45)
    # Fold from the wing of the nose to beyond the corner of the mouth.
    t = np.clip((y - face.nose_y) / (face.mouth_y - face.nose_y), 0, 1)
    fold = face.nose_half + 0.02 + (face.mouth_half - face.nose_half + 0.02) * t
    reach = _soft(np.abs(y - (face.nose_y + face.mouth_y) / 2) - 0.08, 0.06)
    _shade(image, reach * _glow(side - fold, 0, 0.012, 1), 0.88)


def _mouth(image: Painting, face: Face, side: Plane, y: Plane) -> None:
    across = side / face.mouth_half
    line = y - face.mouth_y + face.mouth_bend * across**2
    full = np.clip(1 - across**2, 0, 1)
    red = np.array([176, 92, 88], np.float32) * (1 - 0.45 * face.tone)
    upper = _soft(np.abs(line + face.lip * full / 2) - face.lip * full / 2)
    lower = _soft(np.abs(line - 0.65 * face.lip * full) - 0.65 * face.lip * full)
    inside = _soft(side - face.mouth_half, 0.03)
    _mix(image, 0.75 * upper * inside, 0.86 * red)
    _mix(image, 0.75 * lower * inside, red)
    _shade(image, inside * _glow(0, line, 1, 0.007), 0.42)
    _shade(image, _glow(side - face.mouth_half, line, 0.014, 0.012), 0.62)
    _shade(image, _glow(side, line - 2.0 * face.lip, 0.08, 0.016), 0.84)
    _shade(image, _glow(side, y - (face.nose_y + face.mouth_y) / 2, 0.012, 0.03), 0.93)


def _eyes(image: Painting, face: Face, side: Plane, y: Plane) -> None:
    dx, dy = side - face.eye_x, y - face.eye_y
    _shade(image, _glow(dx, dy + 0.01, 1.25 * face.eye_half, 0.045), 0.86)
    _shade(image, _glow(dx, dy - 0.062, face.eye_half, 0.012), 0.90)
    lid = face.eye_open * np.clip(1 - (dx / face.eye_half) ** 2, 0, 1)
    opening = _soft(np.abs(dy) - lid) * _soft(np.abs(dx) - face.eye_half)
    _mix(image, opening, (226, 222, 216))
    _mix(image, opening * _ellipse(dx, dy, 0.036, 0.036), (84, 58, 40))
    _mix(image, opening * _ellipse(dx, dy, 0.016, 0.016), (18, 14, 12))
    _mix(image, 0.8 * _ellipse(dx - 0.012, dy + 0.012, 0.007, 0.007), (250, 250, 250))
    span = _soft(np.abs(dx) - face.eye_half, 0.03)
    _shade(image, span * _glow(0, dy + lid, 1, 0.007), 0.35)
    _shade(image, span * _glow(0, dy - lid, 1, 0.006), 0.75)
    _shade(image, span * _glow(0, dy + lid + 0.026, 1, 0.006), 0.85)


def _brows(image: Painting, face: Face, side: Plane, y: Plane) -> None:
    along = (side - face.brow_x) / face.brow_half
    middle = face.brow_y + face.brow_bend * (along - 0.2) ** 2
    thick = face.brow_thick * (1.15 - 0.45 * along)
    mask = _soft(np.abs(y - middle) - thick, 0.016) * _soft(np.abs(along) - 1, 0.2)
    _mix(image, 0.85 * mask, 0.8 * _hair_colour(face))


def _hair_colour(face: Face) -> np.ndarray:
    black, fair = (
        np.array([28, 22, 20], np.float32),
        np.array([150, 112, 70], np.float32),
    )
    return black + face.hair * (fair - black)


def _hair(image: Painting, face: Face, x: Plane, y: Plane) -> None:
    """Hair on top and at the temples, and a plain background beside the jaw."""
    jaw = ((np.abs(x) / face.width) ** 2.4 + (np.abs(y - 0.48) / 0.54) ** 2.4) - 1
    _mix(image, 1 - _soft(jaw, 0.10), (96, 104, 112))
    strands = 1 + 0.12 * np.sin(90 * x + 25 * np.sin(4 * y))
    top = _soft(face.hairline + 0.88 * x**2 - y, 0.05)
    above = 1 - top
    temple = (1 - _soft(np.abs(x) - face.width + 0.02, 0.05)) * _soft(y - 0.45, 0.2)
    mask = np.maximum(above, temple)
    _mix(image, mask, _hair_colour(face) * strands[..., None])


def _shading(face: Face, x: Plane, y: Plane) -> Plane:
    round_off = (x / 0.55) ** 2 + ((y - 0.5) / 0.75) ** 2
    return 1.06 - face.contrast * (round_off - 1.1 * face.light * x / 0.5 + 0.5 * y)
