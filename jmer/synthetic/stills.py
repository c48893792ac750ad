"""Single images of synthetic faces, with an expression as large as a posed one."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from jmer.synthetic.face import draw_face, face_texture
from jmer.synthetic.muscles import EMOTIONS, expression_field
from jmer.synthetic.rendering import Timeline, draw_warps, render_frames
from jmer.synthetic.spec import SyntheticSpec, plan_clips

PEAK = 5.0  # pixels at size 64, where the skin allows for so much
LEAST = 4  # frames that a path of the head has; one of them is shown


def render_still(
    spec: SyntheticSpec, index: int, emotion: str | None
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of the face of clip `index`, showing one of `EMOTIONS`, or None at rest.

    `spec.difficulty` makes expressions weaker and, at times, ambiguous.
    """
    subject = plan_clips(spec)[index].subject
    rng = np.random.default_rng([7, spec.seed, subject, index])
    units, strength = "1", 0.0
    if emotion is not None:
        typical, confusable = EMOTIONS[emotion]
        ambiguous = rng.random() < 0.6 * spec.difficulty
        units = str(rng.choice(confusable if ambiguous else typical))
        strength = rng.uniform(1 - 0.8 * spec.difficulty, 1)
    face, peak = draw_face(spec, subject), PEAK * spec.size / 64
    field = expression_field(face, units, spec.size, peak=peak)
    few = replace(spec, length=LEAST)
    shown, closed = np.full(LEAST, strength, np.float32), np.zeros(LEAST, np.float32)
    timeline = Timeline(0, 0, 0, shown, closed)
    warps = draw_warps(few, subject, field, timeline, rng)[:1]
    return render_frames(spec, face_texture(spec, subject), warps, rng)[0]
