"""AMAN, small, on the embedded synthetic faces.

Paper:  Attention-based Magnification-adaptive Networks; there with ResNet-18 trained on
        faces and the published magnifier, 11 frames of 224 pixels and 9 factors
Run:    jmer run synthetic/aman
        without its parts: --model.ma mean, --model.ma single:3, --model.fa mean
Cost:   100 s of CPU time, most of it compilation
Expect: UF1 0.77 (0.64 to 0.87 over subjects), one seed; says that the network learns,
        nothing about real faces. Frames are magnified pixel by pixel, and the frozen
        stages are random: no weights are needed
"""

from data_builders.synthetic import Synthetic
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=AmanConfig(
        k=3,
        n=4,
        frames=8,
        size=64,
        width=16,
        # Not the paper's, but what the figures above were made with.
        pick="linspace",
        norm="pooled",
        init="he",
        magnify="linear",
        pretrain="none",
    ),
    data=Synthetic(
        modality="clip",
        subjects=6,
        clips=120,
        length=8,
        size=64,
        difficulty=0.0,
        noise=0.2,
        identities=0.3,
    ),
    optim=RmspropConfig(lr=1e-3, weight_decay=1e-4, every=7),
    epochs=12,
    batch_size=8,
)
