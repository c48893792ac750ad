"""TFDS builder of the embedded synthetic faces."""

import collections
from typing import Any

import numpy as np

from data_builders.synthetic import Synthetic
from jmer.data.builder import ClipBuilder
from jmer.data.summary import population
from jmer.preprocess.clip_recipe import Shapes
from jmer.preprocess.tensors import Interval, features
from jmer.synthetic.rendering import SyntheticClip, render_clip
from jmer.synthetic.spec import plan_clips


class Builder(ClipBuilder):
    """Clips of faces that nobody has, with all that is known of them.

    With modality `apex-flow`, `apex_flow` is float16 [s, s, 3]: u and v in pixels of
    that size, and optical strain, estimated between the onset and the apex frame. With
    `clip`, `clip` is uint8 [t, h, w, 3] RGB and `special` uint8 [2, h, w, 3], if asked
    for; as long as all frames are kept, `flow` is float16 [t-1, h, w, 2], the true
    motion in pixels, and `intensity` float32 [t] in 0..1. With `flow`, there is only
    that: true as long as all frames are kept, estimated otherwise or if asked for.
    """

    VERSION = "1.1.0"
    data: Synthetic

    def class_names(self) -> tuple[str, ...]:
        return self.data.spec.class_names

    def tensors(self) -> Shapes:
        return self.data.shapes

    def summary(self) -> str:
        clips = plan_clips(self.data.spec)
        names = self.class_names()
        counts = collections.Counter(names[clip.label] for clip in clips)
        subjects = len({clip.subject for clip in clips})
        per_class = {name: counts[name] for name in names}
        return f"{population(len(clips), subjects, per_class)}; generated"

    def look(self, item: int) -> None:
        """Nothing is read."""

    def items(self) -> range:
        return range(self.data.clips)

    def example(self, item: int) -> dict[str, Any]:
        clip = render_clip(self.data.spec, item)
        inputs, (onset, apex, offset) = self._inputs(clip)
        return {
            **inputs,
            "label": clip.label,
            "subject": clip.subject,
            "dataset": "synthetic",
            "clip_id": clip.clip_id,
            "onset": onset,
            "apex": apex,
            "offset": offset,
            "action_units": clip.action_units,
        }

    def _inputs(self, clip: SyntheticClip) -> tuple[dict[str, np.ndarray], Interval]:
        data = self.data
        interval = (clip.onset, clip.apex, clip.offset)
        true_flow = {"flow": clip.flow.astype(np.float16)}
        all_kept = data.resample == "none"
        if data.modality == "flow" and all_kept and data.flow == "auto":
            return true_flow, interval
        made, interval = features(
            data.stored, clip.frames, interval, clip.clip_id, method=data.resample
        )
        if data.modality == "clip" and all_kept:
            made = {**made, **true_flow, "intensity": clip.intensity}
        return made, interval
