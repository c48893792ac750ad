"""Visual memory, small, on the embedded synthetic faces: classes and intensities."""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(
        frames=10,
        steps=9,
        size=32,
        width=8,
        hidden=32,
        augmented=False,
        flow_channels="uv",
    ),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=180,
        length=10,
        size=32,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=AdamConfig(lr=1e-3),
    epochs=12,
    batch_size=8,
)
