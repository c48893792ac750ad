"""LBP-TOP with linear support vector machines, on SMIC HS.

Paper:  Zhao & Pietikäinen 2007
Run:    jmer run baselines/lbp_top_smic --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.smic import Smic
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(),
    data=Smic(modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
