"""STANet by its paper's own recipe, on the true flow of the embedded synthetic faces.

Optimiser, learning rate, decay, epochs and augmentation are the paper's of CASME
(section 4.1); the batch of 8, which it does not state, is a choice. Network and images
are smaller, there are 7 frames of flow, not 19, and a third of the people is held out
once, not each of them in turn.

Paper:  Spatial-Temporal Attention Network for Micro-expression Recognition
Run:    jmer run synthetic/stanet_recipe
Cost:   about three minutes on 2 CPU cores
Expect: see docs/papers/stanet.md
"""

from data_builders.synthetic import Synthetic
from jmer.data.splits import HoldOut
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(frames=7, size=32, width=8, levels=1, lstm=16),
    data=Synthetic(modality="clip", length=8, size=32, difficulty=0.25),
    optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
    epochs=60,
    batch_size=8,
    dtype="float32",
    protocol=HoldOut(fraction=0.33),
)
