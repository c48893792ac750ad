"""MDMO with linear support vector machines, on the MEGC 2019 composite.

Paper:  Liu et al. 2016
Run:    jmer run baselines/mdmo_megc2019 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.megc2019 import Megc2019
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=MdmoConfig(size=64),
    data=Megc2019(modality="apex-flow", size=64),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
