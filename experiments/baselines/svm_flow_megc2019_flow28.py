"""Support vector machines on flow itself, on the flow images of MEGC 2019.

The machines are those of meb on action units (Varanka et al. 2023): Gaussian ones, C
28, gamma by the deviation of all features.

Paper:  Varanka et al. 2023, on other data
Run:    jmer run baselines/svm_flow_megc2019_flow28 --data.manual-dir DIR
Cost:   seconds
Expect: UF1 0.712 (0.644 to 0.778 over subjects)
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.baselines.flow_pixels import FlowPixelsConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=FlowPixelsConfig(size=28, kernel="rbf"),
    data=Megc2019Flow28(),
    optim=SvmConfig(c=28.0, scaling="all"),
    epochs=1,
    dtype="float32",
)
