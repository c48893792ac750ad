"""STANet on SMIC-HS, three classes, leave-one-subject-out.

Paper:  STANet, table 1: jmer report --table stanet-1
Run:    jmer run stanet_smic --data.manual-dir DIR
Cost:   about 2.1e16 multiplications, 16 trainings of 100 epochs
Expect: near the paper, if its clips are these; not run here, the data need a licence
Flow is by DIS, close to the synthetic truth at this size. The paper has FlowNet 2.0:
`--data.flow flownet2 --data.flow-weights FlowNet2_checkpoint.pth.tar`.
"""

from data_builders.smic import Smic
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(rescales=(1.0,), flip=True),
    data=Smic(modality="flow", frames=20, resample="linear", size=192, flow="dis"),
    optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
    epochs=100,
    batch_size=8,
)
