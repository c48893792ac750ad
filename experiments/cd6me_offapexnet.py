"""Off-ApexNet on CD6ME: action units of six data sets, leaving one data set out.

As cd6me_ststnet.py, with this network's own 3,000 epochs at 1e-4, of horizontal and
vertical flow alone. The benchmark's default is 200 epochs: --epochs 200 is a fifteenth
of the time, and no row of the table.

Paper:  Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
        analysis": jmer report --table cd6me-1
Run:    jmer run cd6me_offapexnet --data.manual-dir DIR, where DIR has a folder for each
        set: CASME, CASME2, SAMM, 4DME, MMEW, CASME3
Expect: near F1 0.395, if flow of another kind makes no difference; not run here, the
        data need six licences
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
    epochs=3000,
    batch_size=32,
    seeds=(45, 46, 47, 48, 49),
    dtype="float32",
    protocol=Lodo(),
)
