"""LBP-TOP with linear support vector machines, on the embedded synthetic faces.

Paper:  Zhao & Pietikäinen 2007
Run:    jmer run baselines/lbp_top_synthetic
Cost:   seconds
Expect: UF1 0.915 (0.879 to 0.943 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpTopConfig(size=64),
    data=Synthetic(
        modality="clip",
        resample="tim",
        frames=10,
        size=64,
        subjects=8,
        clips=120,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
)
