"""STSTNet on CASME II from its frames, three classes, leave-one-subject-out.

Run:    jmer run ststnet_casme2 --data.manual-dir DIR
Cost:   seconds to prepare, then minutes on 2 CPU cores: 24 trainings of 100 epochs
Expect: no paper prints this; a first result for who has the data set at hand. STSTNet's
        own has the three data sets of MEGC 2019 (`ststnet_megc2019.py`).
The classes are those of MEGC 2019: 145 clips of 24 subjects.
"""

from data_builders.casme2 import Casme2
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Casme2(classes="megc", modality="apex-flow", size=28),
    optim=AdamConfig(lr=1e-3),
    epochs=100,
    batch_size=32,
)
