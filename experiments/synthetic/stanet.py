"""STANet, small, on the true flow of the embedded synthetic faces.

Paper:  Spatial-Temporal Attention Network for Micro-expression Recognition; there with
        estimated flow of real faces, 19 frames of 192 pixels
Run:    jmer run synthetic/stanet
Cost:   a minute on 2 CPU cores, half of it compilation
Expect: UF1 0.70 (0.60 to 0.79 over subjects), one seed; says that the network learns,
        nothing about real faces. The flow is the renderer's own, not an estimate
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(frames=7, size=32, width=8, levels=1, lstm=16, augmented=False),
    data=Synthetic(modality="clip", length=8, size=32, difficulty=0.25),
    optim=AdamConfig(lr=1e-3),
    epochs=12,
    batch_size=16,
)
