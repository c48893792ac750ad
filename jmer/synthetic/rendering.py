"""Clips: a timeline, a path of the head, the frames, and their true flow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from jmer.synthetic import muscles
from jmer.synthetic.face import MARGIN, SCALE, draw_face, face_texture
from jmer.synthetic.muscles import (
    MotionField,
    blink_field,
    expression_field,
    pixel_grid,
)
from jmer.synthetic.spec import SyntheticSpec, plan_clips, subject_name
from jmer.synthetic.timeline import (
    Timeline,
    draw_timeline,
    draw_video,
    head_moves,
    smooth_paths,
)

OVERSAMPLE = 2  # frames are rendered this many times larger, then averaged
FLOW_ERROR = 1e-3  # pixels


@dataclass(frozen=True)
class SyntheticClip:
    """One clip and everything that is true of it."""

    frames: UInt8[np.ndarray, "t h w 3"]
    """RGB."""
    flow: Float32[np.ndarray, "t-1 h w 2"]
    """True motion from each frame to the next: (right, down) in pixels, with
    expression, head drift and blinks, to 0.001 pixel."""
    apex_flow: Float32[np.ndarray, "h w 2"]
    """True motion from the onset frame to the apex frame."""
    intensity: Float32[np.ndarray, " t"]
    """Strength of the expression, 1 at an apex and 0 outside onset..offset."""
    label: int
    """Index in `SyntheticSpec.class_names`."""
    subject: str
    clip_id: str
    onset: int
    """Of the first expression, where there are several; so the apex and the offset."""
    apex: int
    offset: int
    action_units: str
    """What moved, such as '6+12'; R or L for one side of the person only."""


@dataclass(frozen=True)
class Warp:
    """Where the points of the texture are in one frame; all in pixels.

    The skin moves by `field`, then the head as a whole: turned and scaled by
    `turn` about `centre`, then moved by `shift`.
    """

    field: MotionField
    turn: Float32[np.ndarray, "2 2"]
    shift: Float32[np.ndarray, "2 1"]
    centre: float

    def to_texture(self, points: Float32[np.ndarray, "2 n"]) -> np.ndarray:
        """The texture points that are seen at `points` of this frame."""
        skin = points - self.centre - self.shift
        skin = np.linalg.inv(self.turn) @ skin + np.float32(self.centre)
        return skin if self.field.still else skin - self.field(skin)

    def from_texture(self, texture: Float32[np.ndarray, "2 n"]) -> np.ndarray:
        """The points of this frame where `texture` points are seen.

        Solves skin = texture + field(skin) by fixed-point iteration. The steps
        shrink at least by the field's stretch, so the error left is below
        `FLOW_ERROR` once a step is below (1 - stretch) of it.
        """
        skin = texture.copy()
        moving = np.arange(0 if self.field.still else texture.shape[1])
        small = (1 - muscles.MAX_STRETCH_WITH_BLINK) * FLOW_ERROR
        for _ in range(100):
            if not moving.size:
                break
            before = skin[:, moving]
            after = texture[:, moving] + self.field(before)
            skin[:, moving] = after
            moving = moving[np.abs(after - before).max(0) > small]
        return self.turn @ (skin - self.centre) + self.centre + self.shift


def generate(spec: SyntheticSpec) -> Iterator[SyntheticClip]:
    """All clips of `spec`, sorted by subject; the same ones every time."""
    return (render_clip(spec, index) for index in range(spec.clips))


def render_clip(spec: SyntheticSpec, index: int) -> SyntheticClip:
    """Clip `index` of `spec`, whatever else was rendered before.

    Raises: IndexError unless 0 <= index < spec.clips.
    """
    if not 0 <= index < spec.clips:
        raise IndexError(f"{index=}: the set has clips 0 to {spec.clips - 1}")
    slot = plan_clips(spec)[index]
    rng = np.random.default_rng([4, spec.seed, slot.subject, index])
    action_units, field = draw_expression(spec, slot.subject, slot.label, rng)
    timeline = draw_timeline(spec, rng)
    # Draws of their own: what is not asked for leaves all others as they are.
    events = np.random.default_rng([6, spec.seed, slot.subject, index])
    timeline = draw_video(spec, timeline, events)
    moves = head_moves(spec, events)
    warps = draw_warps(spec, slot.subject, field, timeline, rng, moves)
    flow = [true_flow(a, b, spec.size) for a, b in pairwise(warps)]
    return SyntheticClip(
        frames=render_frames(spec, face_texture(spec, slot.subject), warps, rng),
        flow=np.stack(flow),
        apex_flow=true_flow(warps[timeline.onset], warps[timeline.apex], spec.size),
        intensity=timeline.intensity,
        label=slot.label,
        subject=subject_name(spec, slot.subject),
        clip_id=slot.clip_id,
        onset=timeline.onset,
        apex=timeline.apex,
        offset=timeline.offset,
        action_units=action_units,
    )


def draw_expression(
    spec: SyntheticSpec, subject: int, label: int, rng: np.random.Generator
) -> tuple[str, MotionField]:
    """Action units of a clip and their motion, 0.2 to 3 pixels at size 64."""
    hard = spec.difficulty
    shown = label
    if rng.random() < 0.16 * hard:  # an atypical clip: it shows something else
        shown = int(rng.integers(spec.classes))
    name = spec.class_names[shown]
    emotion = muscles.EMOTIONS[rng.choice(muscles.CLASS_EMOTIONS.get(name, (name,)))]
    ambiguous = rng.random() < 0.6 * hard
    units = str(rng.choice(emotion.confusable if ambiguous else emotion.typical))
    names = units.split("+")
    if rng.random() < 0.2 * hard and not set(names) & set(muscles.CENTRAL):
        side = rng.choice(["L", "R"])
        units = "+".join(f"{side}{unit}" for unit in names)
    habit = np.random.default_rng([5, spec.seed, subject]).standard_normal(2)
    asymmetry = (0.06 + 0.2 * hard) * (0.6 * habit[0] + 0.8 * rng.standard_normal())
    spread = 0.6 * habit[1] + 0.8 * rng.standard_normal()
    peak = np.clip((1.6 - 1.2 * hard) * np.exp(0.4 * spread), 0.2, 3)
    field = expression_field(
        draw_face(spec, subject), units, spec.size,
        peak=float(peak) * spec.size / 64,
        asymmetry=float(np.clip(asymmetry, -0.7, 0.7)),
        weights=tuple(rng.uniform(1 - 0.6 * hard, 1, len(names))),
    )  # fmt: skip
    return units, field


def draw_warps(
    spec: SyntheticSpec, subject: int, field: MotionField, timeline: Timeline,
    rng: np.random.Generator, moves: Float32[np.ndarray, "2 t"] | float = 0.0,
) -> list[Warp]:  # fmt: skip
    """One warp per frame, with the head drifting slowly on a smooth path, and `moves`
    in pixels besides.
    """
    blink = blink_field(draw_face(spec, subject), spec.size, field)
    paths = smooth_paths(rng, 4, spec.length) * spec.noise
    shifts = 1.0 * spec.size / 64 * paths[:2] + moves
    angles, scales = 0.010 * paths[2], 1 + 0.008 * paths[3]
    centre = (spec.size - 1) / 2
    warps = []
    for t in range(spec.length):
        cos, sin = scales[t] * np.cos(angles[t]), scales[t] * np.sin(angles[t])
        turn = np.array([[cos, -sin], [sin, cos]], np.float32)
        shift = shifts[:, t, None].astype(np.float32)
        moved = sum_fields(field, timeline.intensity[t], blink, timeline.closure[t])
        warps.append(Warp(moved, turn, shift, centre))
    return warps


def sum_fields(
    first: MotionField, gain: float, second: MotionField, other: float
) -> MotionField:
    """`gain * first + other * second`, without the pulls that are not felt."""
    felt = [f.times(g) for f, g in ((first, gain), (second, other)) if g > 0]
    if len(felt) == 1:
        return felt[0]
    if not felt:
        return first.times(0)
    return MotionField(
        np.concatenate([f.centres for f in felt]),
        np.concatenate([f.spreads for f in felt]),
        np.concatenate([f.vectors for f in felt]),
    )


def true_flow(first: Warp, second: Warp, size: int) -> np.ndarray:
    """Motion from one frame to another, float32 [size, size, 2], to 0.001 pixel.

    A pixel p moves to p' where the second frame shows what the first shows at p.
    """
    points = pixel_grid(size)
    moved = second.from_texture(first.to_texture(points))
    return (moved - points).T.reshape(size, size, 2)


@lru_cache(maxsize=4)
def _render_grid(size: int) -> np.ndarray:
    return pixel_grid(size, OVERSAMPLE)


def render_frames(
    spec: SyntheticSpec, texture: np.ndarray, warps: list[Warp],
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Frames as the camera sees them: uint8 [t, size, size, 3] RGB."""
    size, large = spec.size, spec.size * OVERSAMPLE
    exposure = 1 + 0.03 * spec.noise * rng.standard_normal(len(warps))
    tilt = 0.05 * spec.noise * smooth_paths(rng, 2, len(warps))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    frames = np.empty((len(warps), size, size, 3), np.uint8)
    for t, warp in enumerate(warps):
        seen = warp.to_texture(_render_grid(size)).reshape(2, large, large)
        # From pixel centres at whole numbers to texel centres, past the margin.
        seen = SCALE * (seen + 0.5 + MARGIN * size) - 0.5
        image = cv2.remap(
            texture, seen[0], seen[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        light = exposure[t] + tilt[0, t] * x + tilt[1, t] * y
        image *= light[..., None].astype(np.float32)
        grain = rng.standard_normal(image.shape, np.float32)
        image += np.float32(4 * spec.noise) * grain
        frames[t] = np.rint(image).clip(0, 255)
    return frames
