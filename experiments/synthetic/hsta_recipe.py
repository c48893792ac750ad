"""HSTA by the recipe of its paper, on the embedded synthetic faces.

Run:    jmer run synthetic/hsta_recipe
Cost:   some 15 minutes on 2 CPU cores
Expect: little: UF1 0.424 (0.288 to 0.517) with seed 0, loss 1.075

Layers, units, dropout, stochastic depth, optimiser, schedule, balanced batches and
epochs are the paper's and its code's. Widths are an eighth of theirs, frames are small,
and there are three folds, so that a laptop can do it. The faces are those of
synthetic/hsta.py, whose own settings are kinder.
"""

import dataclasses

from jmer.data.splits import KFold
from jmer.experiment import load_experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamWConfig

SMALL = load_experiment("synthetic/hsta")

EXPERIMENT = dataclasses.replace(
    SMALL,
    model=HstaConfig(size=32, patch_v=8, patch_s=8, dim_v=96, dim_s=48, heads=3),
    optim=AdamWConfig(final_lr=1.25e-7, layer_decay=0.9),
    epochs=150,
    batch_size=32,
    sampling="balanced",
    dtype="float32",
    protocol=KFold(k=3),
)
