"""Spotting by differences of histograms of flow, on synthetic videos.

The videos, folds and scores are those of synthetic/visual_memory.

Paper:  Li et al. 2018, on other data
Run:    jmer run baselines/hoof_spotter_synthetic, then
        jmer spot runs/hoof_spotter_synthetic --threshold 0.5
Cost:   a minute
Expect: AUC of frames 0.600, F1 of intervals 0.010; what is spotted is classified no
        better than by chance: UF1 0.332 (0.237 to 0.407 over people). Blinks and moves
        of the head differ as much as expressions
"""

from data_builders.synthetic import Synthetic
from jmer.baselines.spotters import HoofSpotterConfig
from jmer.baselines.svm import SvmConfig
from jmer.data.splits import KFold
from jmer.experiment import Experiment

EXPERIMENT = Experiment(
    model=HoofSpotterConfig(frames=40, size=32, half=5),
    data=Synthetic(
        modality="clip",
        subjects=8,
        clips=120,
        length=40,
        size=32,
        difficulty=0.0,
        noise=0.2,
        imbalance=0.0,
        expressions=2,
        blinks=1,
        head_moves=1,
    ),
    optim=SvmConfig(),
    epochs=1,
    dtype="float32",
    protocol=KFold(2),
)
