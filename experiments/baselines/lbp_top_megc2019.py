"""LBP-TOP with linear support vector machines, on the MEGC 2019 composite.

Paper:  Zhao & Pietikäinen 2007; as the baseline of MEGC 2019 (See et al. 2019):
        UF1 0.5882, UAR 0.5785: jmer report --table megc2019-1
Run:    jmer run baselines/lbp_top_megc2019 --data.manual-dir DIR
Cost:   seconds, once the set is prepared
Expect: no figure of ours: the set needs a licence
"""

from data_builders.megc2019 import Megc2019
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(),
    data=Megc2019(modality="clip", resample="tim", frames=10),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
