"""Visual memory, its first phase, small, on synthetic videos: classes of frames.

Run:    jmer run synthetic/visual_memory_spatial --run-dir RUN
Cost:   seconds on 2 CPU cores, beside compilation
Expect: chance (ACC 0.33), since a single frame of 32 pixels hardly shows an expression
        of less than a pixel; visual_memory.py beside it starts from its features
"""

from data_builders.synthetic import Synthetic
from jmer.data.splits import KFold
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(
        phase="spatial",
        frames=40,
        steps=1,
        size=32,
        width=8,
        steps_count="by-intensity",
        augmented=False,
    ),
    data=Synthetic(
        modality="clip",
        subjects=8,
        clips=120,
        length=40,
        size=32,
        difficulty=0.0,
        noise=0.2,
        imbalance=0.0,
        expressions=2,
        blinks=1,
        head_moves=1,
    ),
    optim=AdamConfig(lr=3e-4),
    epochs=4,
    batch_size=8,
    eval_every=4,
    protocol=KFold(2),
)
