"""Bi-WOOF with linear support vector machines, on the public flow images of MEGC 2019.

Paper:  Liong et al. 2018
Run:    jmer run baselines/bi_woof_megc2019_flow28 --data.manual-dir DIR
Cost:   seconds
Expect: UF1 0.654 (0.583 to 0.714 over subjects); from frames the challenge has 0.630
Flow there is stretched to 0..255 image by image: the median stands for no motion.
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.baselines.bi_woof import BiWoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=BiWoofConfig(zero="median"),
    data=Megc2019Flow28(),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
