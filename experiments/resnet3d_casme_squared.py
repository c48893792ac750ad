"""3D ResNet-18 on CAS(ME)², three classes, one random division of clips.

Of the paper: the classes, 16 frames around the apex, repeated only in shorter clips,
112 pixels, one mean for each channel and one deviation for each clip, the mirror, a
fifth of the clips tested and a fifth of the others validating, the same ones for every
seed, the optimiser, 100 epochs, batches of 8. Chosen here: the epoch with the lowest
validation loss is tested, shares are rounded as scikit-learn does, and the optimiser of
Ma and Yarats is Adam with their untuned linear warm-up. All readings:
docs/papers/meranet.md.

Paper:  Gajjala et al. 2021, table 1, on a fifth of the clips:
        jmer report --table meranet-1
Run:    jmer run resnet3d_casme_squared --data.manual-dir DIR
Cost:   about 9e14 multiplications
Expect: a score that a few test clips decide, of people who were trained on too;
        --protocol.split-seed 1 shows how far it moves. Not run here. 12 of 57 clips are
        tested: 83.3 is 10 of them, and 91.7 is 11
The division is not subject-independent, and every report says so.
"""

from data_builders.casme_squared import CasmeSquared
from jmer.data.splits import ClipHoldOut
from jmer.experiment import Experiment
from jmer.models.meranet import Resnet3dConfig
from jmer.optim import UntunedWarmupConfig

EXPERIMENT = Experiment(
    model=Resnet3dConfig(deviation="sample"),
    data=CasmeSquared(
        classes="meranet",
        modality="clip",
        frames=16,
        resample="apex-window",
        window="inside",
        size=112,
    ),
    optim=UntunedWarmupConfig(lr=0.1),
    epochs=100,
    batch_size=8,
    selection="inner",
    inner_unit="clip",
    inner_criterion="loss",
    inner_draw="split",
    dtype="float32",
    protocol=ClipHoldOut(fraction=0.2, rounding="total"),
)
