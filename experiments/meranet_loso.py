"""MERANet and the 3D ResNet-18 on three data sets, leave-one-subject-out.

The paper's table 1 with its networks, data and training, and with whole subjects tested
and validating: the protocol that its division of single clips is not. None of these
figures is in the paper, and they compare with those of other networks here.

Paper:  none; Gajjala et al. 2021 divides clips
Run:    jmer run meranet_loso --data.manual-dir DIR, where DIR has the
        folders casme, casme2 and casme_squared
Cost:   about 1e17 multiplications
Expect: less than by clips; not run here
"""

import dataclasses

from jmer.data.splits import Loso
from jmer.experiment import load_experiment
from jmer.sweep import Sweep

PAPER = load_experiment("meranet_table1")
SWEEP = Sweep(
    dataclasses.replace(
        PAPER, protocol=Loso(), inner_unit="subject", inner_draw="seed"
    ),
    rows={
        f"{network}, {data}": {"model": one.model, "data": one.data}
        for file, network in (("resnet3d", "3DResNet"), ("meranet", "MERANet"))
        for data, name in {
            "CASME": "casme",
            "CASME II": "casme2",
            "CAS(ME)²": "casme_squared",
        }.items()
        for one in [load_experiment(f"{file}_{name}")]
    },
)
