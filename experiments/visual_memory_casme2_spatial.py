"""Visual memory, its first phase: the spatial network on single frames of CASME II.

Paper:  Nag et al. 2019, section 3, whose networks are trained apart; schedule of
        DeepLab, from memory; its last layer learns ten times as fast, ours does not
Run:    jmer run visual_memory_casme2_spatial --data.manual-dir DIR
        --pretrained vgg16.pth --run-dir RUN, with torchvision's VGG-16
Cost:   about 6,000 updates of 20 frames for each of 26 folds
Expect: nothing in the paper to compare with; visual_memory_casme2.py goes on from it.
        Not run here
"""

from data_builders.casme2 import Casme2
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    # Five frames of each of four clips; how far they show the expression counts.
    model=VisualMemoryConfig(
        phase="spatial", frames=64, steps=4, steps_count="by-intensity"
    ),
    # Whole recordings, for the neutral frames, so that one set serves both phases.
    data=Casme2(
        source="raw",
        align="crop",
        modality="video",
        resample="whole",
        context=1000,
        frames=64,
        size=64,
    ),
    optim=SgdConfig(lr=1e-3, momentum=0.9, weight_decay=5e-4, every=34, factor=0.1),
    epochs=102,
    batch_size=4,
    eval_every=6,
)
