"""HOOF with linear support vector machines, on the embedded synthetic faces.

Paper:  Chaudhry et al. 2009
Run:    jmer run baselines/hoof_synthetic
Cost:   seconds
Expect: UF1 0.865 (0.802 to 0.919 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=HoofConfig(),
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
