"""MERANet and the 3D ResNet-18, table 1: three data sets, one random division of clips.

A sweep of meranet_*.py and resnet3d_*.py, which say what is the paper's and what was
chosen. Which printed figures a test set of that size can give: docs/papers/meranet.md.

Paper:  Gajjala et al. 2021, table 1: jmer report --table meranet-1
Run:    jmer run meranet_table1 --data.manual-dir DIR, where DIR has the
        folders casme, casme2 and casme_squared
Cost:   about 5.4e15 multiplications
Expect: scores that a few test clips decide; not run here
The divisions are not subject-independent, and every report says so.
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

DATA = {"CASME": "casme", "CASME II": "casme2", "CAS(ME)²": "casme_squared"}
FILES = {
    f"{network}, {data}": load_experiment(f"{file}_{name}")
    for file, network in (("resnet3d", "3DResNet"), ("meranet", "MERANet"))
    for data, name in DATA.items()
}

SWEEP = Sweep(
    FILES["MERANet, CASME"],
    rows={
        name: {"model": one.model, "data": one.data, "protocol": one.protocol}
        for name, one in FILES.items()
    },
)
