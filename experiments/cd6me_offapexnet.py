"""Off-ApexNet on CD6ME: action units of six data sets, leaving one data set out.

As cd6me_ststnet.py, of horizontal and vertical flow alone, with the benchmark's
defaults: Adam at 1e-4 with an L2 penalty of 1e-3, 200 epochs, batches of 32. The row of
the table is with this network's own 3,000 epochs: --epochs 3000.

Paper:  Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
        analysis": jmer report --table cd6me-1
Run:    jmer run cd6me_offapexnet --data.manual-dir DIR, where DIR has a folder for each
        set: CASME, CASME2, SAMM, 4DME, MMEW, CASME3
Expect: near F1 0.395 with those, if flow of another kind makes no difference; not run
        here, the data need six licences
"""

from data_builders.cd6me import Cd6me
from jmer.data.by_set import Lodo
from jmer.data.extract import Extract
from jmer.experiment import Experiment
from jmer.models.offapexnet import OffApexNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=OffApexNetConfig(),
    data=Cd6me(modality="apex-flow", size=28, flow="tvl1", align="crop"),
    extract=Extract(action_units=(1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)),
    optim=AdamConfig(lr=1e-4, weight_decay=1e-3),
    epochs=200,
    batch_size=32,
    seeds=(45, 46, 47, 48, 49),
    dtype="float32",
    protocol=Lodo(),
)
