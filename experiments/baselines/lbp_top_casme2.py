"""LBP-TOP with linear support vector machines, on CASME II.

Paper:  Zhao & Pietikäinen 2007
Run:    jmer run baselines/lbp_top_casme2 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.casme2 import Casme2
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(),
    data=Casme2(classes="megc", modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
