"""Recordings: a synthetic face somewhere in a scene, as a camera of some rate sees it.

Unlike clips (`rendering`), whose face fills the frame, these need a face to be found,
last for seconds, and show any number of expressions, blinks and moves of the head,
none of them at a rate of frames: events last as long at 60 frames a second as at 25.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from jmer.errors import UsageError
from jmer.synthetic import scenery
from jmer.synthetic.face import draw_face, face_texture
from jmer.synthetic.muscles import blink_field
from jmer.synthetic.rendering import Warp, draw_expression, render_frames, sum_fields
from jmer.synthetic.spec import SyntheticSpec, plan_clips, subject_name
from jmer.synthetic.timeline import blink_curve, expression_curve

SHORTEST, LONGEST = 0.28, 0.5
"""Seconds from onset to offset; a micro-expression takes half a second at most."""
ROOM = 0.3  # seconds of rest on either side of an expression
RATES = (25.0, 30.0, 50.0)
Frames = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True)
class Shooting:
    """What a recording is to show, and how it is taken.

    Raises: UsageError if the expressions have no room in it.
    """

    seconds: float = 2.0
    rate: float = 0.0
    """Frames a second; 0: one of `RATES`."""
    expressions: int = 1
    blinks: int = 1
    """Blinks at random moments; there may be fewer."""
    head_moves: int = 1
    """Quick moves of the head, likewise."""
    width: int = 240
    height: int = 180

    def __post_init__(self) -> None:
        least = self.expressions * (LONGEST + 2 * ROOM)
        if self.seconds < least:
            raise UsageError(
                f"seconds={self.seconds}: {self.expressions} expressions need "
                f"{least:.1f}"
            )


@dataclass(frozen=True)
class Recording:
    """A recording and what is true of it."""

    frames: Frames
    """RGB."""
    rate: float
    """Frames a second."""
    moments: tuple[tuple[int, int, int], ...]
    """(onset, apex, offset) of each expression, frames from 0, in order."""
    intensity: Float32[np.ndarray, " t"]
    """Strength of the expression, 1 at an apex and 0 at rest."""
    label: int
    """Index in `SyntheticSpec.class_names`, of all its expressions."""
    subject: str
    clip_id: str
    action_units: str


def record(spec: SyntheticSpec, index: int, shooting: Shooting) -> Recording:
    """The recording of clip `index` of `spec`, whatever else was recorded before.

    Its subject and class are those of that clip. `spec.length` and what `spec` says of
    events have no meaning here; `spec.size` is the side of the face before it is put
    into the scene, and `spec.noise` the strength of grain, flicker and drift.
    """
    slot = plan_clips(spec)[index]
    rng = np.random.default_rng([8, spec.seed, slot.subject, index])
    units, field = draw_expression(spec, slot.subject, slot.label, rng)
    rate = shooting.rate or float(rng.choice(RATES))
    count = round(shooting.seconds * rate)
    moments = _moments(shooting, rate, rng)
    intensity = np.zeros(count)
    for each in moments:
        intensity += expression_curve(count, each, rng.uniform(0.8, 1.4))
    closure = np.zeros(count)
    for _ in range(rng.integers(shooting.blinks + 1)):
        half = rng.uniform(0.1, 0.17) * rate
        closure = np.maximum(closure, blink_curve(count, rng.uniform(0, count), half))
    blink = blink_field(draw_face(spec, slot.subject), spec.size, field)
    still = replace(spec, noise=0.0)  # grain is the camera's, and covers the scene
    turn, shift = np.eye(2, dtype=np.float32), np.zeros((2, 1), np.float32)
    texture = face_texture(spec, slot.subject)
    shown = dict[tuple[float, float], UInt8[np.ndarray, "s s 3"]]()

    def face(t: int) -> UInt8[np.ndarray, "s s 3"]:
        state = float(intensity[t]), float(closure[t])
        if state not in shown:  # most frames are at rest, and drawn once
            moved = sum_fields(field, state[0], blink, state[1])
            warp = Warp(moved, turn, shift, (spec.size - 1) / 2)
            shown.clear() if len(shown) > 1 else None
            shown[state] = render_frames(still, texture, [warp], rng)[0]
        return shown[state]

    stage = scenery.draw_stage(shooting.width, shooting.height, spec.size, rng)
    paths = scenery.head_paths(count, rate, shooting.head_moves, spec.noise, rng)
    light = scenery.light_paths(count, rate, spec.noise, rng)
    frames = np.empty((count, shooting.height, shooting.width, 3), np.uint8)
    for t in range(count):
        frames[t] = stage.shoot(face(t), paths[:, t], light[:, t], spec.noise, rng)
    return Recording(
        frames=frames,
        rate=rate,
        moments=moments,
        intensity=intensity.astype(np.float32),
        label=slot.label,
        subject=subject_name(spec, slot.subject),
        clip_id=slot.clip_id,
        action_units=units,
    )


def _moments(
    shooting: Shooting, rate: float, rng: np.random.Generator
) -> tuple[tuple[int, int, int], ...]:
    """Each in its own equal part of the recording, with rest on either side."""
    made = []
    part = shooting.seconds / max(1, shooting.expressions)
    for i in range(shooting.expressions):
        takes = rng.uniform(SHORTEST, LONGEST)
        start = i * part + rng.uniform(ROOM, part - ROOM - takes)
        peak = start + rng.uniform(0.35, 0.6) * takes
        onset, apex, offset = (round(x * rate) for x in (start, peak, start + takes))
        made.append((onset, apex, offset))
    return tuple(made)
