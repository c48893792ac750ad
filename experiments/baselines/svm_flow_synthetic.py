"""Support vector machines on flow itself, on the synthetic faces.

The machines are those of meb on action units (Varanka et al. 2023): Gaussian ones, C
28, gamma by the deviation of all features.

Paper:  Varanka et al. 2023, on other data
Run:    jmer run baselines/svm_flow_synthetic
Cost:   seconds
Expect: UF1 0.988 (0.960 to 1.000 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.flow_pixels import FlowPixelsConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=FlowPixelsConfig(size=28, kernel="rbf"),
    data=Synthetic(
        subjects=8,
        clips=120,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=SvmConfig(c=28.0, scaling="all"),
    epochs=1,
    dtype="float32",
)
