"""A data set of random numbers, small enough to train in a second."""

import numpy as np

from jmer.data.clips import ClipSet


def make_clips(subjects: int = 4, per_subject: int = 3, *, size=7, seed=0) -> ClipSet:
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
