"""HOOF with linear support vector machines, on the MEGC 2019 composite.

Paper:  Chaudhry et al. 2009
Run:    jmer run baselines/hoof_megc2019 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.megc2019 import Megc2019
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=HoofConfig(size=64),
    data=Megc2019(modality="apex-flow", size=64),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
