"""LBP-SIP with linear support vector machines, on the MEGC 2019 composite.

Paper:  Wang et al. 2014
Run:    jmer run baselines/lbp_sip_megc2019 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.megc2019 import Megc2019
from jmer.baselines.lbp_sip import LbpSipConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpSipConfig(),
    data=Megc2019(modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
