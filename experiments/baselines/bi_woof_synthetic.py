"""Bi-WOOF with linear support vector machines, on the embedded synthetic faces.

Paper:  Liong et al. 2018
Run:    jmer run baselines/bi_woof_synthetic
Cost:   seconds
Expect: UF1 0.930 (0.871 to 0.987 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.bi_woof import BiWoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=BiWoofConfig(),
    data=Synthetic(
        subjects=8,
        clips=120,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
