"""Visual memory, its first phase: the spatial network on single frames of CASME II.

The paper's: that this network is trained apart, on CASME II, with the parameters of
DeepLab, in full precision. Chosen: those parameters, which are from memory (its last
layer learns ten times as fast, ours does not), and a classifier of single frames, since
CASME II has no masks to segment.

Paper:  Nag et al. 2019, section 3, whose networks are trained apart
Run:    jmer run visual_memory_casme2_spatial --data.manual-dir DIR
        --pretrained vgg16.pth --run-dir RUN, with torchvision's VGG-16; for the other
        divisions, --protocol hold-out --protocol.fraction 0.3, and clip-hold-out
Cost:   about 6,000 updates of 20 frames for each of 26 folds
Expect: nothing in the paper to compare with; visual_memory_casme2.py goes on from it.
        Not run here
"""

from data_builders.casme2 import Casme2
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import SgdConfig

EXPERIMENT = Experiment(
    # Five neighbouring frames of each of four clips.
    model=VisualMemoryConfig(phase="spatial", frames=600, padded=True, steps=4),
    # As the second phase has it, so that one set serves both.
    data=Casme2(
        source="raw",
        align="crop",
        modality="video",
        resample="native",
        context=1000,
        frames=600,
        size=64,
    ),
    optim=SgdConfig(lr=1e-3, momentum=0.9, weight_decay=5e-4, every=34, factor=0.1),
    epochs=102,
    batch_size=4,
    eval_every=6,
    dtype="float32",
)
