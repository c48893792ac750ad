"""STANet on CASME without its parts: the ablation of the paper.

A sweep of four rows: neither branch, the spatial branch (+SAB), the penalty on its mask
(+l1), the temporal branch (+TAB). `--cells base +SAB` runs two of them.

Paper:  STANet, table 2: jmer report --table stanet-2
Run:    jmer run stanet_casme_ablation --data.manual-dir DIR
Cost:   about 1.6e16 multiplications for each row
Expect: a rise by one or two clips in a hundred for each part; not run here
Flow is by DIS, close to the synthetic truth at this size. The paper has FlowNet 2.0:
`--data.flow flownet2 --data.flow-weights FlowNet2_checkpoint.pth.tar`.
"""

from data_builders.casme import Casme
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig
from jmer.papers import table
from jmer.sweep import Sweep

SWEEP = Sweep(
    Experiment(
        model=STANetConfig(lambda_l1=0.0, tab=False),
        data=Casme(modality="flow", frames=20, resample="linear", size=192, flow="dis"),
        optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
        epochs=60,
        batch_size=8,
    ),
    rows=table("stanet-2").sweep_rows(),
)
