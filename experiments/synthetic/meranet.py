"""MERANet, small, on clips of the embedded synthetic faces."""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.meranet import MeranetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=MeranetConfig(frames=8, size=32, width=8, reduction=4, flip=False),
    data=Synthetic(
        modality="clip",
        subjects=8,
        clips=160,
        frames=8,
        size=32,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=AdamConfig(lr=1e-3),
    epochs=20,
    batch_size=16,
)
