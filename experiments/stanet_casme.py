"""STANet on CASME, four classes, leave-one-subject-out.

Paper:  STANet, table 1: jmer report --table stanet-1
Run:    jmer run stanet_casme --data.manual-dir DIR
Cost:   about 1.6e16 multiplications, 19 trainings of 60 epochs
Expect: near the paper, if its clips are these; not run here, the data need a licence
Flow is by DIS, close to the synthetic truth at this size. The paper has FlowNet 2.0:
`--data.flow flownet2 --data.flow-weights FlowNet2_checkpoint.pth.tar`.
"""

from data_builders.casme import Casme
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(),
    data=Casme(modality="flow", frames=20, resample="linear", size=192, flow="dis"),
    optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
    epochs=60,
    batch_size=8,
)
