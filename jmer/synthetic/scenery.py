"""What is around a synthetic face, and how head, light and camera behave."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Stage:
    """A scene with a place for a head."""

    background: Float32[np.ndarray, "h w 3"]
    mask: Float32[np.ndarray, "s s"]
    """How much of the head is seen, at each place of its square."""
    middle: tuple[float, float]
    """Of the square at rest, in pixels of the scene."""
    scale: float
    """Pixels of the scene in a pixel of the face."""
    tilt: float
    """Of the head at rest, in radians."""
    slope: Float32[np.ndarray, "2 h w"]
    """From -1 to 1 across the scene, and down it."""

    def shoot(
        self,
        face: Picture,
        pose: Float[np.ndarray, "4"],
        light: Float[np.ndarray, "3"],
        noise: float,
        rng: np.random.Generator,
    ) -> Picture:
        """The scene with the face in it, as the camera sees it.

        `pose` as from `head_paths` and `light` as from `light_paths`, of one frame.
        """
        side = face.shape[0]
        height, width = self.background.shape[:2]
        matrix = self._matrix(side, pose)
        size, how = (width, height), cv2.INTER_LINEAR
        head = cv2.warpAffine(face.astype(np.float32), matrix, size, flags=how)
        seen = cv2.warpAffine(self.mask, matrix, size, flags=how)[..., None]
        image = self.background + seen * (head - self.background)
        image *= (light[0] + light[1] * self.slope[0] + light[2] * self.slope[1])[
            ..., None
        ]
        grain = rng.standard_normal((*image.shape[:2], 1), np.float32)
        image += np.float32(4 * noise) * grain
        return np.rint(image).clip(0, 255).astype(np.uint8)

    def _matrix(self, side: int, pose: np.ndarray) -> np.ndarray:
        right, down, turned, scaled = (float(x) for x in pose)
        angle, factor = self.tilt + turned, self.scale * (1 + scaled)
        cos, sin = factor * np.cos(angle), factor * np.sin(angle)
        about, whole = (side - 1) / 2, self.scale * side
        x, y = self.middle[0] + whole * right, self.middle[1] + whole * down
        return np.array(
            [
                [cos, -sin, x - cos * about + sin * about],
                [sin, cos, y - sin * about - cos * about],
            ]
        )


def draw_stage(width: int, height: int, side: int, rng: np.random.Generator) -> Stage:
    """A background, and a head of 0.45 to 0.68 of the height, anywhere well inside."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    whole = rng.uniform(0.45, 0.68) * height
    low = 0.58 * whole
    middle = (
        float(rng.uniform(low, width - low)),
        float(rng.uniform(low, height - low)),
    )
    background = _room(width, height, rng)
    _body(background, middle, whole, rng)
    return Stage(
        background=background,
        mask=_head_mask(side),
        middle=middle,
        scale=whole / side,
        tilt=float(rng.normal(0, 0.06)),
        slope=np.stack([x, y]),
    )


def head_paths(
    count: int, rate: float, moves: int, noise: float, rng: np.random.Generator
) -> Float[np.ndarray, "4 t"]:
    """Where the head is besides its place: right and down in parts of its side, turned
    in radians, larger by a share.

    It sways slowly, as much as `noise` says, and makes up to `moves` quick moves of
    0.15 to 0.3 seconds, as far as a strong expression moves the skin.
    """
    strength = np.array([0.02, 0.015, 0.015, 0.01])[:, None]
    paths = noise * strength * _wander(4, count, rate, rng)
    time = np.arange(count) / rate
    for _ in range(rng.integers(moves + 1)):
        moment, half = rng.uniform(0, count / rate), rng.uniform(0.075, 0.15)
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.008, 0.024)
        done = 0.5 + 0.5 * np.sin(0.5 * np.pi * np.clip((time - moment) / half, -1, 1))
        paths[:2] += far * np.array([[np.cos(angle)], [np.sin(angle)]]) * done
    return paths


def light_paths(
    count: int, rate: float, noise: float, rng: np.random.Generator
) -> Float[np.ndarray, "3 t"]:
    """Brightness of the scene about 1, and how it changes across and down it; it drifts
    and flickers as much as `noise` says."""
    paths = noise * np.array([[0.04], [0.04], [0.04]]) * _wander(3, count, rate, rng)
    paths[0] += rng.uniform(0.75, 1.15) + 0.015 * noise * rng.standard_normal(count)
    paths[1:] += rng.uniform(-0.2, 0.2, (2, 1))
    return paths


def _wander(
    paths: int, count: int, rate: float, rng: np.random.Generator
) -> Float[np.ndarray, "n t"]:
    """Smooth paths about 0, of standard deviation about 1, of 0.08 to 0.6 Hz."""
    time = np.arange(count) / rate
    total = np.zeros((paths, count))
    for hertz in (0.08, 0.2, 0.6):
        phase = rng.uniform(0, 2 * np.pi, (paths, 1))
        strength = rng.standard_normal((paths, 1)) * min(1.0, 0.2 / hertz)
        total += strength * np.sin(2 * np.pi * hertz * time + phase)
    return total


def _room(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A wall with stains and some things on it."""
    wall = rng.uniform(60, 210, 3).astype(np.float32)
    image = np.empty((height, width, 3), np.float32)
    image[:] = wall
    coarse = rng.standard_normal((6, 8, 3)).astype(np.float32)
    image += rng.uniform(3, 25) * cv2.resize(
        coarse, (width, height), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(rng.integers(6)):  # frames, shelves, doors
        colour = rng.uniform(20, 235, 3)
        left, top = int(rng.integers(width)), int(rng.integers(height))
        right = left + int(rng.integers(width // 12, width // 3))
        bottom = top + int(rng.integers(height // 12, height // 2))
        cv2.rectangle(image, (left, top), (right, bottom), colour.tolist(), -1)
    return cv2.GaussianBlur(image, (0, 0), height / 160).clip(0, 255)


def _body(
    image: np.ndarray,
    middle: tuple[float, float],
    whole: float,
    rng: np.random.Generator,
) -> None:
    """Neck and shoulders below the place of a head, in place."""
    x, y = (round(v) for v in middle)
    skin = rng.uniform(0.5, 1) * np.array([232, 192, 168])
    neck = round(0.2 * whole)
    cv2.rectangle(image, (x - neck, y), (x + neck, y + round(0.75 * whole)),
                  skin.tolist(), -1)  # fmt: skip
    axes = (round(0.95 * whole), round(0.8 * whole))
    colour = rng.uniform(20, 220, 3).tolist()
    cv2.ellipse(image, (x, y + round(1.35 * whole)), axes, 0, 0, 360, colour, -1)


def _head_mask(side: int) -> Float32[np.ndarray, "s s"]:
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    radius = np.sqrt(((x - 0.5) / 0.485) ** 2 + ((y - 0.49) / 0.515) ** 2)
    inside = np.clip((1 - radius) / 0.05, 0, 1)
    border = np.minimum.reduce([x, 1 - x, y, 1 - y])
    return (inside * np.clip(border / 0.02, 0, 1)).astype(np.float32)
