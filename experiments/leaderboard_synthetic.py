"""Two networks and four baselines on the synthetic faces, for a leaderboard.

A sweep; all methods have the same clips and folds.

Run:    jmer run leaderboard_synthetic
        jmer leaderboard runs/leaderboard_* --out leaderboard.html
Cost:   minutes on 2 CPU cores
Expect: UF1 0.79 of machines on flow itself, 0.75 of Off-ApexNet, 0.74 of STSTNet,
        0.59 of Bi-WOOF, 0.53 of MDMO and 0.50 of HOOF; the faces are made up, and rank
        no method on real ones
"""

from data_builders.synthetic import Synthetic
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
        data=Synthetic(),
        optim=AdamConfig(lr=1e-3),
        epochs=60,
        batch_size=32,
    ),
    rows={
        "ststnet": {},
        "offapexnet": {"model": OffApexNetConfig()},
        "hoof": {"model": HoofConfig(), **MACHINES},
        "biwoof": {"model": BiWoofConfig(), **MACHINES},
        "mdmo": {"model": MdmoConfig(), **MACHINES},
        "svmflow": {
            "model": FlowPixelsConfig(size=28, kernel="rbf"),
            **MACHINES,
            "optim": SvmConfig(c=28.0, scaling="all"),
        },
    },
)
