"""Visual memory, small, on the embedded synthetic faces: classes and intensities."""

from data_builders.synthetic import Synthetic
from jmer.data.splits import KFold
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(
        frames=8,
        steps=7,
        size=32,
        width=8,
        hidden=32,
        flow_channels="uv",
        augmented=False,
    ),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=180,
        length=8,
        size=32,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=AdamConfig(lr=1.5e-3),
    epochs=16,
    batch_size=8,
    protocol=KFold(3),
)
