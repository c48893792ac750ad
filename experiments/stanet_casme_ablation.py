"""STANet on CASME without its parts: the ablation of the paper.

This file is the row with the spatial branch alone; the others:
    --model.no-sab               neither branch
    --model.lambda-l1 1e-8       the spatial branch with the penalty on its mask
    --model.tab                  both branches without the penalty (not in the paper)
experiments/stanet_casme.py is the row with all three.

Paper:  STANet, table 2: ACC 0.7135, 0.7310 (this), 0.7485 (penalty), 0.7661
Run:    jmer run experiments/stanet_casme_ablation.py --data.manual-dir DIR
Cost:   about 1.6e16 multiplications for each row
Expect: a rise by one or two clips in a hundred for each part; not run here
Flow is by DIS, close to the synthetic truth at this size. The paper has FlowNet 2.0:
`--data.flow flownet2 --data.flow-weights FlowNet2_checkpoint.pth.tar`.
"""

from data_builders.casme import Casme
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(lambda_l1=0.0, tab=False),
    data=Casme(modality="flow", frames=20, resample="linear", size=192, flow="dis"),
    optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
    epochs=60,
    batch_size=8,
)
