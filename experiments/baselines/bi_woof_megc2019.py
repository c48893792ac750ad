"""Bi-WOOF with linear support vector machines, on the MEGC 2019 composite.

Paper:  Liong et al. 2018; for MEGC 2019 See et al. 2019 and Liong et al. 2019 print
        UF1 0.6296, UAR 0.6227, from flow by TV-L1: jmer report --table megc2019-1
Run:    jmer run baselines/bi_woof_megc2019 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.megc2019 import Megc2019
from jmer.baselines.bi_woof import BiWoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=BiWoofConfig(size=64),
    data=Megc2019(modality="apex-flow", size=64),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
