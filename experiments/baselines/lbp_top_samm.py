"""LBP-TOP with linear support vector machines, on SAMM.

Paper:  Zhao & Pietikäinen 2007
Run:    jmer run baselines/lbp_top_samm --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.samm import Samm
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(),
    data=Samm(classes="megc", modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
