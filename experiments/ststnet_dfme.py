"""STSTNet on DFME, seven classes, ten folds of whole subjects.

Paper:  Zhao et al. 2023, "DFME: A New Benchmark for Dynamic Facial Micro-expression
        Recognition": 10-fold cross-validation in which nobody is on both sides. Its
        folds are not published; these are dealt out by a seed.
Run:    jmer run ststnet_dfme --data.manual-dir DIR
Cost:   10 trainings of 100 epochs
Expect: no paper prints this; a first result for who has the data set. Who has the
        authors' lists: --protocol clip-lists --protocol.lists LISTS --protocol.apart
The set is the training list of the challenge: 1,856 clips of 176 subjects.
"""

from data_builders.dfme import Dfme
from jmer.data.splits import KFold
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Dfme(modality="apex-flow", size=28),
    optim=AdamConfig(lr=1e-3),
    epochs=100,
    batch_size=32,
    protocol=KFold(k=10),
)
