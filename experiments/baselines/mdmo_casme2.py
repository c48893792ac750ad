"""MDMO with linear support vector machines, on CASME II.

Paper:  Liu et al. 2016
Run:    jmer run baselines/mdmo_casme2 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.casme2 import Casme2
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=MdmoConfig(size=64),
    data=Casme2(classes="megc", modality="apex-flow", size=64),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
