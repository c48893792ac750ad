"""LBP-SIP with linear support vector machines, on CASME II.

Paper:  Wang et al. 2014
Run:    jmer run baselines/lbp_sip_casme2 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.casme2 import Casme2
from jmer.baselines.lbp_sip import LbpSipConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpSipConfig(),
    data=Casme2(classes="megc", modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
