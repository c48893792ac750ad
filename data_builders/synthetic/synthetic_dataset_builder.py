"""TFDS builder of the embedded synthetic faces."""

import collections

import numpy as np

from data_builders.synthetic import Synthetic
from jmer.data.builder import ClipBuilder
from jmer.preprocess.flow import apex_flow
from jmer.synthetic import SyntheticClip, generate


class Builder(ClipBuilder):
    """Clips of faces that nobody has, with all that is known of them.

    With modality `apex-flow`, `apex_flow` is float16 [s, s, 3]: u and v in pixels of
    that size, and optical strain, estimated by Farnebäck's method between the onset
    and the apex frame. With `clip`, `clip` is uint8 [t, h, w, 3] RGB, `flow` float16
    [t-1, h, w, 2] the true motion in pixels, and `intensity` float32 [t] in 0..1.
    """

    VERSION = "1.0.0"
    data: Synthetic

    def class_names(self):
        return self.data.spec.class_names

    def tensors(self):
        data = self.data
        if data.modality == "apex-flow":
            return {"apex_flow": ((data.flow_size, data.flow_size, 3), np.float16)}
        frame = (data.size, data.size)
        return {
            "clip": ((data.frames, *frame, 3), np.uint8),
            "flow": ((data.frames - 1, *frame, 2), np.float16),
            "intensity": ((data.frames,), np.float32),
        }

    def summary(self):
        clips = list(generate(self.data.spec))
        names = self.class_names()
        counts = collections.Counter(names[clip.label] for clip in clips)
        per_class = ", ".join(f"{counts[name]} {name}" for name in names)
        subjects = len({clip.subject for clip in clips})
        return f"{len(clips)} clips, {subjects} subjects ({per_class}); generated"

    def examples(self):
        for clip in generate(self.data.spec):
            yield {
                **self._inputs(clip),
                "label": clip.label,
                "subject": clip.subject,
                "dataset": "synthetic",
                "clip_id": clip.clip_id,
                "onset": clip.onset,
                "apex": clip.apex,
                "offset": clip.offset,
                "action_units": clip.action_units,
            }

    def _inputs(self, clip: SyntheticClip) -> dict[str, np.ndarray]:
        if self.data.modality == "apex-flow":
            size = self.data.flow_size
            flow = apex_flow(clip.frames, clip.onset, clip.apex, size)
            return {"apex_flow": flow.astype(np.float16)}
        return {
            "clip": clip.frames,
            "flow": clip.flow.astype(np.float16),
            "intensity": clip.intensity,
        }
