"""The spotting network of `jmer predict demo`: synthetic faces in scenes, 25 to 50 fps.

Visual memory at its smallest, all trained at once, on videos with one expression of
half a second at most, blinks, and quick moves of the head.

Run:    jmer pretrain demo, which makes the videos, runs this and demo/classifier, and
        scores them on people that neither has seen
Cost:   docs/howto/demo.md
Expect: docs/howto/demo.md
"""

from data_builders.folder import Folder
from jmer.data.splits import KFold
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(
        phase="joint",
        frames=50,
        steps=24,
        size=32,
        width=6,
        hidden=48,
        flow_channels="uv",
        fc6_dilation=2,
        context_dilation=1,
        intensity_loss="cross-entropy",
        intensity_weight=2.0,
        steps_count="by-intensity",
        augmented=True,
        shift=1.0,
        rotate=5.0,
        rescale=0.05,
    ),
    data=Folder(
        table="demo/videos/table.csv",
        modality="video",
        resample="native",
        stride_ms=40.0,
        frames=50,
        context=500,
        size=32,
        align="landmarks",
    ),
    optim=AdamWConfig(lr=2e-3, weight_decay=0.0, warmup_epochs=1, warmup_lr=1e-4),
    epochs=60,
    batch_size=4,
    eval_every=20,
    protocol=KFold(3),
)
