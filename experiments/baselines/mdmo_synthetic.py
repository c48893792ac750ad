"""MDMO with linear support vector machines, on the embedded synthetic faces.

Paper:  Liu et al. 2016
Run:    jmer run baselines/mdmo_synthetic
Cost:   seconds
Expect: UF1 0.900 (0.843 to 0.950 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=MdmoConfig(),
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
