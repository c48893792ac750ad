"""LBP-SIP with linear support vector machines, on the embedded synthetic faces.

Paper:  Wang et al. 2014
Run:    jmer run baselines/lbp_sip_synthetic
Cost:   seconds
Expect: UF1 0.697 (0.611 to 0.773 over subjects)
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.lbp_sip import LbpSipConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=LbpSipConfig(size=64),
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
