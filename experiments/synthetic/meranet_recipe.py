"""MERANet by its paper's own recipe, on clips of the embedded synthetic faces.

Optimiser, schedule, epochs, batches, augmentation, division and selection are the
paper's (sections 4.2 and 4.3). An eighth of its width, 8 frames of 32x32 pixels, and
clips easier than the set's defaults, as in synthetic/meranet.

Paper:  Gajjala et al. 2021
Run:    jmer run synthetic/meranet_recipe
Cost:   about four minutes on 2 CPU cores
Expect: see docs/papers/meranet.md
"""

from data_builders.synthetic import Synthetic
from jmer.data.splits import ClipHoldOut
from jmer.experiment import Experiment
from jmer.models.meranet import MeranetConfig
from jmer.optim import UntunedWarmupConfig

EXPERIMENT = Experiment(
    model=MeranetConfig(frames=8, size=32, width=8, reduction=4, deviation="sample"),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=180,
        length=8,
        size=32,
        difficulty=0.0,
        noise=0.2,
    ),
    optim=UntunedWarmupConfig(lr=0.1),
    epochs=100,
    batch_size=8,
    selection="inner",
    inner_unit="clip",
    inner_criterion="loss",
    inner_draw="split",
    dtype="float32",
    protocol=ClipHoldOut(fraction=0.25, rounding="total"),
)
