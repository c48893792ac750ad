"""AMAN on the embedded synthetic faces, as its published code trains it.

Paper:  Attention-based Magnification-adaptive Networks: the paper says nothing of how
        it is trained. Of its code: RMSprop with 1e-3, a fifth of it after 30 of 50
        epochs, decay 1e-4, batches of 4, no augmentation, batch norm image by image;
        of the paper 11 frames of 20 and 9 factors
Run:    jmer run synthetic/aman_recipe
Cost:   2 to 3 minutes of CPU time
Expect: UF1 0.79 (0.67 to 0.91 over subjects), seed 0; 0.90 by --model.norm pooled; both
        with --model.pick linspace --model.init he: docs/papers/aman.md
Not the paper's: images of 48 pixels, a width of 8, frames that are magnified pixel by
pixel, and frozen stages of random weights; experiments/synthetic/aman.py has kinder
settings. The published weights go in by --model.magnify network --model.magnifier FILE.
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=AmanConfig(size=48, width=8, magnify="linear", pretrain="none"),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=72,
        length=20,
        size=48,
        difficulty=0.0,
        noise=0.2,
        identities=0.3,
    ),
    optim=RmspropConfig(lr=1e-3, weight_decay=1e-4, every=30),
    epochs=50,
    batch_size=4,
)
