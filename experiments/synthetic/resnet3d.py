"""MERANet's baseline without gates, small, on the same clips as `meranet.py`.

Paper:  Tran et al. 2018; Gajjala et al. 2021 compare with it, on other data
Run:    jmer run synthetic/resnet3d
Cost:   a minute and a half on 2 CPU cores
Expect: UF1 0.61 with seed 0 (95 % interval over 6 subjects 0.41 to 0.76): one seed of
        few people, which says nothing about the gates
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.meranet import Resnet3dConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=Resnet3dConfig(frames=8, size=32, width=8),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=180,
        length=8,
        size=32,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=AdamConfig(lr=2e-3),
    epochs=12,
    batch_size=8,
)
