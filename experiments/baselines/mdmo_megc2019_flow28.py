"""MDMO with linear support vector machines, on the public flow images of MEGC 2019.

Paper:  Liu et al. 2016
Run:    jmer run baselines/mdmo_megc2019_flow28 --data.manual-dir DIR
Cost:   seconds
Expect: UF1 0.580 (0.513 to 0.639 over subjects)
Flow there is stretched to 0..255 image by image: the median stands for no motion.
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=MdmoConfig(zero="median"),
    data=Megc2019Flow28(),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
