"""A data set of random numbers, small enough to train in a second."""

from dataclasses import replace

import numpy as np

from jmer.data.clips import ClipSet
from jmer.models.base import NetworkConfig


def make_clips(
    subjects: int = 4, per_subject: int = 3, *, size: int = 7, seed: int = 0
) -> ClipSet:
    """Random flow whose mean tells the class, of `size` x `size` pixels."""
    rng = np.random.default_rng(seed)
    n = subjects * per_subject
    label = np.arange(n) % 3
    flow = rng.normal(size=(n, size, size, 3)) + label[:, None, None, None]
    return ClipSet(
        name="toy",
        classes=("negative", "positive", "surprise"),
        inputs={"apex_flow": flow.astype(np.float16)},
        label=label.astype(np.int32),
        subject=np.array([f"s{i // per_subject}" for i in range(n)]),
        dataset=np.full(n, "toy"),
        clip_id=np.array([f"clip{i}" for i in range(n)]),
        onset=np.full(n, -1, np.int32),
        apex=np.full(n, -1, np.int32),
        offset=np.full(n, -1, np.int32),
        action_units=np.full(n, ""),
    )


def clips_for(
    network: NetworkConfig, subjects: int = 3, per_subject: int = 4, *, seed: int = 0
) -> ClipSet:
    """Random features of a network's shapes, from 0 to 255, that tell the class."""
    clips = make_clips(subjects, per_subject, size=1)
    rng = np.random.default_rng(seed)
    shapes = zip(network.inputs, network.input_shapes, strict=True)
    inputs = {
        name: rng.integers(0, 200, (len(clips), *shape)).astype(np.uint8)
        + 20 * clips.label.astype(np.uint8).reshape(-1, *(1,) * len(shape))
        for name, shape in shapes
    }
    return replace(clips, inputs=inputs)
