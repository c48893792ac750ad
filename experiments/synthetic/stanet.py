"""STANet, small, on the true flow of the embedded synthetic faces.

Paper:  Spatial-Temporal Attention Network for Micro-expression Recognition; there with
        estimated flow of real faces, at 192 pixels and 19 frames
Run:    jmer run experiments/synthetic/stanet.py
Cost:   TODO
Expect: TODO
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(
        frames=7, size=32, width=8, levels=2, lstm=16, augmented=False
    ),
    data=Synthetic(modality="clip", frames=8, size=32),
    optim=AdamConfig(lr=1e-3),
    epochs=20,
    batch_size=16,
)
