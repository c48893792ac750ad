"""MERANet on CASME, three classes, one random division of clips.

--model.attn ca and --model.attn st leave one of the two gates out.

Paper:  Gajjala et al. 2021, table 1, on a quarter of the clips:
        jmer report --table meranet-1
Run:    jmer run meranet_casme --data.manual-dir DIR
Cost:   about 9e14 multiplications
Expect: a score that a few test clips decide, of people who were trained on too;
        --protocol.split-seed 1 shows how far it moves. Not run here
The division is not subject-independent, and every report says so.
"""

from data_builders.casme import Casme
from jmer.data.splits import ClipHoldOut
from jmer.experiment import Experiment
from jmer.models.meranet import MeranetConfig
from jmer.optim import UntunedWarmupConfig

EXPERIMENT = Experiment(
    model=MeranetConfig(),
    data=Casme(
        classes="meranet", modality="clip", frames=16, resample="apex-window", size=112
    ),
    optim=UntunedWarmupConfig(lr=0.1),
    epochs=100,
    batch_size=8,
    selection="inner",
    inner_unit="clip",
    inner_criterion="loss",
    protocol=ClipHoldOut(fraction=0.25),
)
