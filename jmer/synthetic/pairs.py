"""Two frames of a synthetic face with motion of a given size between them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from jmer.synthetic.face import face_texture
from jmer.synthetic.muscles import MAX_STRETCH, pixel_grid
from jmer.synthetic.rendering import Warp, draw_expression, render_frames, true_flow
from jmer.synthetic.spec import SyntheticSpec, plan_clips


class Pair(NamedTuple):
    first: UInt8[np.ndarray, "h w 3"]
    second: UInt8[np.ndarray, "h w 3"]
    flow: Float32[np.ndarray, "h w 2"]
    """True motion from the first to the second, in pixels (right, down)."""


def expression_pair(spec: SyntheticSpec, index: int, amplitude: float) -> Pair:
    """The face and the expression of clip `index`, at rest and at its strongest.

    The largest motion is `amplitude` pixels, less where the skin would stretch by more
    than `MAX_STRETCH`. The head stays where it is; light and grain vary by
    `spec.noise`.
    """
    slot = plan_clips(spec)[index]
    rng = np.random.default_rng([6, spec.seed, slot.subject, index])
    _, field = draw_expression(spec, slot.subject, slot.label, rng)
    grid = pixel_grid(spec.size)
    field = field.times(amplitude / float(np.linalg.norm(field(grid), axis=0).max()))
    field = field.times(min(1.0, MAX_STRETCH / float(field.stretch(grid).max())))
    upright, still = np.eye(2, dtype=np.float32), np.zeros((2, 1), np.float32)
    centre = (spec.size - 1) / 2
    rest, apex = (Warp(field.times(k), upright, still, centre) for k in (0, 1))
    texture = face_texture(spec, slot.subject)
    first, second = render_frames(spec, texture, [rest, apex], rng)
    return Pair(first, second, true_flow(rest, apex, spec.size))
