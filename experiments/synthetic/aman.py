from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=AmanConfig(
        k=3,
        n=4,
        frames=8,
        size=64,
        width=16,
        magnify="linear",
        pretrain="none",
    ),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=120,
        length=8,
        size=64,
        difficulty=0.0,
        noise=0.2,
        identities=0.3,
    ),
    optim=RmspropConfig(lr=1e-3, weight_decay=1e-4, every=30),
    epochs=12,
    batch_size=8,
)
