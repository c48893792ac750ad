"""When a clip shows what: expressions, blinks, and moves of the head."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from jmer.synthetic.spec import SyntheticSpec


class Timeline(NamedTuple):
    """Frame indices, and intensity and eye closure per frame, both 0 to 1."""

    onset: int
    apex: int
    offset: int
    intensity: Float32[np.ndarray, " t"]
    closure: Float32[np.ndarray, " t"]


def draw_timeline(spec: SyntheticSpec, rng: np.random.Generator) -> Timeline:
    """An expression that leaves and regains rest within the clip, and a blink."""
    last = spec.length - 1
    onset = int(rng.uniform(0.04, 0.20) * last)
    offset = min(last, max(onset + 2, round(rng.uniform(0.75, 0.98) * last)))
    rise = round(rng.uniform(0.3, 0.6) * (offset - onset))
    apex = onset + min(max(rise, 1), offset - onset - 1)
    # Lingers near the apex, or near rest.
    intensity = expression_curve(
        spec.length, (onset, apex, offset), rng.uniform(0.8, 1.4)
    )
    closure = np.zeros(spec.length)
    moment, half = rng.uniform(0, last), rng.uniform(2.5, 4)
    if rng.random() < 0.5 * spec.noise:
        closure = blink_curve(spec.length, moment, half)
    return Timeline(
        onset, apex, offset, intensity.astype(np.float32), closure.astype(np.float32)
    )


def draw_video(
    spec: SyntheticSpec, timeline: Timeline, rng: np.random.Generator
) -> Timeline:
    """`timeline` with the expressions and blinks that `spec` asks for.

    Each expression takes 35 to 60 percent of its part of the clip, anywhere in it, so
    that at least some frames of rest lie on either side.
    """
    length, last = spec.length, spec.length - 1
    onset, apex, offset, intensity, closure = timeline
    if spec.expressions:
        intensity = np.zeros(length)
        part, every = length / spec.expressions, []
        for i in range(spec.expressions):
            frames = round(rng.uniform(0.35, 0.6) * part)
            start = int(i * part + 1 + rng.uniform() * (part - frames - 3))
            peak = start + round(rng.uniform(0.35, 0.6) * frames)
            moments = start, peak, start + frames
            every.append(moments)
            intensity += expression_curve(length, moments, rng.uniform(0.8, 1.4))
        onset, apex, offset = every[0]
    for _ in range(spec.blinks):
        blink = blink_curve(length, rng.uniform(0, last), rng.uniform(2.5, 4))
        closure = np.maximum(closure, blink)
    return Timeline(
        onset,
        apex,
        offset,
        np.asarray(intensity, np.float32),
        np.asarray(closure, np.float32),
    )


def head_moves(
    spec: SyntheticSpec, rng: np.random.Generator
) -> Float32[np.ndarray, "2 t"]:
    """Where the head is besides its drift, (right, down) in pixels.

    Each of `spec.head_moves` takes 4 to 8 frames, and goes 0.5 to 1.5 pixels at size 64
    in any direction, back towards the middle if it is off it.
    """
    frame = np.arange(spec.length)
    path = np.zeros((2, spec.length))
    moments = np.sort(rng.uniform(0, spec.length - 1, spec.head_moves))
    for moment in moments:
        angle, half = rng.uniform(0, 2 * np.pi), rng.uniform(2, 4)
        far = rng.uniform(0.5, 1.5) * spec.size / 64
        step = far * np.array([np.cos(angle), np.sin(angle)])
        if step @ path[:, -1] > 0:
            step = -step
        done = np.clip((frame - moment) / half, -1, 1)
        path += step[:, None] * (0.5 + 0.5 * np.sin(0.5 * np.pi * done))
    return path.astype(np.float32)


def smooth_paths(rng: np.random.Generator, paths: int, frames: int) -> np.ndarray:
    """Random paths [paths, frames] about 0, of standard deviation about 1."""
    time = np.linspace(0, 1, frames)
    total = np.zeros((paths, frames))
    for waves in (0.35, 0.8, 1.6):
        phase = rng.uniform(0, 2 * np.pi, (paths, 1))
        strength = 0.8 * rng.standard_normal((paths, 1)) * min(1.0, 0.6 / waves)
        total += strength * np.sin(2 * np.pi * waves * time + phase)
    return total


def expression_curve(
    length: int, interval: tuple[int, int, int], shape: float
) -> Float32[np.ndarray, " t"]:
    """0 at the onset, 1 at the apex, 0 at the offset and outside, without a kink."""
    phase = np.interp(np.arange(length), interval, [0, 1, 0])
    return (0.5 - 0.5 * np.cos(np.pi * phase)) ** shape


def blink_curve(length: int, moment: float, half: float) -> np.ndarray:
    near = np.clip(np.abs(np.arange(length) - moment) / half, 0, 1)
    return 0.5 + 0.5 * np.cos(np.pi * near)
