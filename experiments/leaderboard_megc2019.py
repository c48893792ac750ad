"""Two networks and four baselines on the real flow of MEGC 2019, for a leaderboard.

A sweep; each method has the recipe of its own experiment, and all have the same clips
and folds.

Run:    jmer run leaderboard_megc2019 --data.manual-dir DIR
        jmer leaderboard runs/leaderboard_* --out leaderboard.html
Cost:   hours on 2 CPU cores, nearly all of it the networks, and five minutes for five
        seeds of these on an H200; with --small, minutes
Expect: UF1 0.71 of Off-ApexNet and of machines on flow itself, 0.70 of STSTNet, Bi-WOOF
        0.65, MDMO 0.58, HOOF 0.56
"""

from data_builders.megc2019_flow28 import Megc2019Flow28
from jmer.baselines.bi_woof import BiWoofConfig
from jmer.baselines.flow_pixels import FlowPixelsConfig
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.svm import SvmConfig
from jmer.experiment import Experiment
from jmer.models.offapexnet import OffApexNetConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig
from jmer.sweep import Sweep

MACHINES = {"optim": SvmConfig(), "epochs": 1, "dtype": "float32"}

SWEEP = Sweep(
    Experiment(
        model=STSTNetConfig(),
        data=Megc2019Flow28(),
        optim=AdamConfig(lr=5e-5),
        epochs=800,
        batch_size=256,
    ),
    rows={
        "ststnet": {},
        "offapexnet": {
            # Images of flow, from 0 to 255.
            "model": OffApexNetConfig(zero=127.5, unit=127.5),
            "optim": AdamConfig(lr=1e-4, weight_decay=1e-3),
            "epochs": 3000,
            "batch_size": 32,
        },
        # Flow there is stretched image by image: the median stands for no motion.
        "hoof": {"model": HoofConfig(zero="median"), **MACHINES},
        "biwoof": {"model": BiWoofConfig(zero="median"), **MACHINES},
        "mdmo": {"model": MdmoConfig(zero="median"), **MACHINES},
        "svmflow": {
            "model": FlowPixelsConfig(size=28, kernel="rbf"),
            **MACHINES,
            "optim": SvmConfig(c=28.0, scaling="all"),
        },
    },
)
