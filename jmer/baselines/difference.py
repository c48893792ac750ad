"""Spotting without training: how much a frame differs from those some way off.

Moilanen, Zhao & Pietikäinen 2014, "Spotting rapid facial movements from videos using
appearance-based feature difference analysis"; Li et al. 2018, "Towards reading hidden
emotions: a comparative study of spontaneous micro-expression spotting and recognition
methods", section 3. What the papers leave out, frames that are nearer to an end of the
clip than half an expression, is as in the baseline of MEGC 2019's spotting (Li, Soladié
& Séguier; jingtingEmmaLi/MEGC_spotting): they differ as the nearest one that is not,
and stand out by nothing. `clamped`, they have the clip's first or last frame there.
"""

import math

import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Int, typed
from jmer.baselines.orientation import LEAST


@typed
def chi_squared(
    one: Float[Array, "*b k"], other: Float[Array, "*b k"]
) -> Float[Array, "*b"]:
    """The χ² distance of two histograms, Σ (a - b)² / (a + b), where both are 0: 0."""
    total = one + other
    return jnp.where(
        total > LEAST, (one - other) ** 2 / jnp.maximum(total, LEAST), 0
    ).sum(-1)


@typed
def difference(
    histograms: Float[Array, "b t c k"],
    half: int,
    share: float = 1 / 3,
    *,
    clamped: bool = False,
) -> Float[Array, "b t"]:
    """How far each frame is from the mean of those `half` frames before and after it:
    χ² of each of its `c` blocks, and of these the mean of the largest `share`.
    """
    blocks = histograms.shape[2]
    around = (_away(histograms, -half) + _away(histograms, half)) / 2
    far = jnp.sort(chi_squared(histograms, around), -1)
    curve = far[..., blocks - math.ceil(share * blocks) :].mean(-1)
    frames = curve.shape[1]
    return curve if clamped else curve[:, _inner(frames, half)]


@typed
def contrast(
    curve: Float[Array, "b t"], half: int, *, clamped: bool = False
) -> Float[Array, "b t"]:
    """What of a difference stands out from the mean of those `half` frames before and
    after it; 0 where it does not."""
    around = (_away(curve, -half) + _away(curve, half)) / 2
    found = jnp.maximum(curve - around, 0)
    frames = np.arange(curve.shape[1])
    return jnp.where(clamped | (_inner(len(frames), half) == frames), found, 0)


@typed
def relative(curve: Float[Array, "b t"]) -> Float[Array, "b t"]:
    """From 0, at the mean of a clip or below, to 1, at its highest.

    The papers' threshold, mean + p (highest - mean), is then p in every clip.
    """
    mean = curve.mean(-1, keepdims=True)
    room = curve.max(-1, keepdims=True) - mean
    return jnp.clip((curve - mean) / jnp.maximum(room, LEAST), 0, 1)


def _away(frames: Array, step: int) -> Array:
    """What is `step` frames off, or at that end of the clip."""
    t = frames.shape[1]
    return frames[:, jnp.clip(jnp.arange(t) + step, 0, t - 1)]


def _inner(frames: int, half: int) -> Int[np.ndarray, " t"]:
    """The nearest frame to each that has `half` frames on either side."""
    return np.clip(np.arange(frames), half, max(frames - half - 1, half))
