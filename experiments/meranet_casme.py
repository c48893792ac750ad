"""MERANet on CASME, three classes, one random division of clips.

Section 4.2 also gives 32 as the temporal depth: meranet_casme_depth32.py.

--model.attn ca and --model.attn st leave one of the two gates out.

Of the paper: the classes, clips of at least 16 frames, 16 frames around the apex,
repeated only in shorter clips, 112 pixels, one mean for each channel and one deviation
for each clip, the mirror, a quarter of the clips tested and a fifth of the others
validating, the same ones for every seed, the optimiser, 100 epochs, batches of 8.
Chosen here: the epoch with the lowest validation loss is tested, shares are rounded as
scikit-learn does, and the optimiser of Ma and Yarats is Adam with their untuned linear
warm-up. All readings: docs/papers/meranet.md.

Paper:  Gajjala et al. 2021, table 1, on a quarter of the clips:
        jmer report --table meranet-1
Run:    jmer run meranet_casme --data.manual-dir DIR
Cost:   about 9e14 multiplications
Expect: a score that a few test clips decide, of people who were trained on too;
        --protocol.split-seed 1 shows how far it moves. Not run here. 115 clips in the
        paper. Its 81.0 and 90.5 need 21 or 42 test clips, and a quarter of 115 is 29:
        no test set of that size gives either figure
The division is not subject-independent, and every report says so.
"""

from data_builders.casme import Casme
from jmer.data.splits import ClipHoldOut
from jmer.experiment import Experiment
from jmer.models.meranet import MeranetConfig
from jmer.optim import UntunedWarmupConfig

EXPERIMENT = Experiment(
    model=MeranetConfig(deviation="sample"),
    data=Casme(
        classes="meranet",
        modality="clip",
        frames=16,
        resample="apex-window",
        window="inside",
        size=112,
        min_frames=16,
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
