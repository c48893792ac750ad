"""LBP-TOP with linear support vector machines, on the embedded synthetic faces.

Paper:  Zhao & Pietikäinen 2007; the baseline of MEGC 2019 on other data
Run:    jmer run baselines/lbp_top_synthetic
Cost:   seconds
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
