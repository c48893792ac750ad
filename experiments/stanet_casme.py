"""STANet on CASME, four classes, leave-one-subject-out.

Of the paper (section 4.1): the classes, 20 frames by linear interpolation, 192 pixels,
FlowNet 2.0 between neighbours, the augmentation, Adam with its learning rate and decay,
60 epochs, leave-one-subject-out. Chosen here, where the paper says nothing: batches of
8, a constant rate, a ResNet-18 from random weights, its second stage as the third
feature map, an LSTM of both directions, the mean over frames, windows of 168 pixels,
one of all crops at random a visit. Each is a field: docs/papers/stanet.md.

Paper:  STANet, table 1: jmer report --table stanet-1
Run:    jmer run stanet_casme --data.manual-dir DIR --data.flow-weights FILE
Cost:   about 1.6e16 multiplications, 19 trainings of 60 epochs
Expect: near the paper, if its clips are these; not run here, the data need a licence
FlowNet 2.0 needs NVIDIA's file (FlowNet2_checkpoint.pth.tar), once, to prepare the set;
without it, `--data.flow dis` estimates by DIS, as another set and no row of the paper.
Frames are stored beside their flow (`modality="video"`), for figure 5 draws masks over
faces; the flow is the same.
"""

from data_builders.casme import Casme
from jmer.experiment import Experiment
from jmer.models.stanet import STANetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STANetConfig(),
    data=Casme(
        modality="video",
        frames=20,
        resample="linear",
        size=192,
        flow="flownet2",
    ),
    optim=AdamConfig(lr=1e-5, weight_decay=1e-4),
    epochs=60,
    batch_size=8,
    dtype="float32",
)
