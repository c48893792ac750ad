"""The classifier of `jmer predict demo`: flow from onset to apex of synthetic faces.

STSTNet, on the videos of demo/spotter; each expression is there three times, with
moments that err by up to 40 milliseconds, as those that a spotter finds.

Run:    jmer pretrain demo, which makes the videos, runs this and demo/spotter, and
        scores them on people that neither has seen
Cost:   docs/howto/demo.md
Expect: docs/howto/demo.md
"""

from data_builders.folder import Folder
from jmer.data.splits import KFold
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Folder(
        table="demo/videos/moments.csv",
        modality="apex-flow",
        size=28,
        align="landmarks",
    ),
    optim=AdamConfig(lr=1e-3),
    epochs=60,
    eval_every=10,
    batch_size=32,
    protocol=KFold(3),
)
