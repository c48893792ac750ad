"""Off-ApexNet on the MEGC 2019 composite, from onset-to-apex flow of 28x28 pixels.

Paper:  Gan et al. 2019 (Signal Processing: Image Communication). The network and its
        training are meb's (Varanka et al.), whose figures are UF1 0.703 at the last
        epoch and 0.839 where the epoch is chosen on the test subject
Run:    jmer run offapexnet_megc2019 --data.manual-dir DIR
Expect: 0.709, give or take 0.018 a seed, and 0.847 chosen on test (docs/results.md);
        meb estimates flow by another method
The network of the paper itself: --model.streams separate --model.kernel 5
        --model.hidden 1024 1024
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.experiment import Experiment
from jmer.models.offapexnet import OffApexNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    # Images of flow, from 0 to 255.
    model=OffApexNetConfig(zero=127.5, unit=127.5),
    data=Megc2019Flow28(),
    optim=AdamConfig(lr=1e-4, weight_decay=1e-3),
    epochs=3000,
    batch_size=32,
)
