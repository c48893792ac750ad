"""STSTNet on the MEGC 2019 composite, from onset-to-apex flow of 28x28 pixels.

Paper:  Liong et al. 2019 (FG). The authors' weights score UF1 0.7209, UAR 0.7250 (one
        run, last epoch, batches unshuffled and sorted by class)
Run:    jmer run ststnet_megc2019 --data.manual-dir DIR
Expect: about 0.72 and 0.72, give or take the seed; see the README for what we measured
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Megc2019Flow28(),
    optim=AdamConfig(lr=5e-5),
    epochs=800,
    batch_size=256,
)
