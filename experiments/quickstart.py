"""STSTNet on the embedded synthetic faces: a first LOSO, for a laptop.

Run:    jmer run quickstart
Cost:   a quarter of a minute on 2 CPU cores
Expect: UF1 well above chance (1/3) and well below 1; see the README
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Synthetic(),
    optim=AdamConfig(lr=1e-3),
    epochs=60,
    batch_size=32,
)
