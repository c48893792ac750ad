"""HOOF with linear support vector machines, on CASME II.

Paper:  Chaudhry et al. 2009
Run:    jmer run baselines/hoof_casme2 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.casme2 import Casme2
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=HoofConfig(size=64),
    data=Casme2(classes="megc", modality="apex-flow", size=64),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
