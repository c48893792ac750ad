"""MERANet, small, on clips of the embedded synthetic faces.

An eighth of the paper's width, 8 frames of 32x32 pixels, and clips easier than the
set's defaults (no confusable units, little noise).

Paper:  Gajjala et al. 2021; its data is under licence, and its protocol mixes subjects
Run:    jmer run synthetic/meranet
Cost:   two minutes and a quarter on 2 CPU cores, half a minute of it to compile
Expect: UF1 0.67 with seed 0 (95 % interval over 6 subjects 0.39 to 0.86)
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.meranet import MeranetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=MeranetConfig(frames=8, size=32, width=8, reduction=4),
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
