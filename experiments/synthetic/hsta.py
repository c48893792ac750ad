"""HSTA, small, on the embedded synthetic faces.

Run:    jmer run experiments/synthetic/hsta.py
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=HstaConfig(
        layers=2,
        lv=1,
        size=32,
        patch_v=8,
        patch_s=8,
        dim_v=48,
        dim_s=48,
        heads=4,
        mlp_ratio=2,
        dropout=0.1,
        drop_path=0.1,
    ),
    data=Synthetic(
        modality="clip",
        resample="uniform",
        keep=6,
        special="sf",
        size=32,
        clips=240,
        difficulty=0.2,
        noise=0.2,
    ),
    optim=AdamConfig(lr=1e-3),
    epochs=40,
    batch_size=32,
)
