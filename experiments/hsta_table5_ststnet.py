"""HSTA, table 5: its row of STSTNet, on each of the three sets alone.

A sweep. The figures that the paper prints are those of STSTNet's own paper, of one
network for all three sets: `jmer run ststnet_megc2019` trains that, and its report has
a line for each set. Here STSTNet is trained as HSTA's own row is, on each set alone.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-5
Run:    jmer run hsta_table5_ststnet --data.manual-dir DIR, where DIR has the folders
        smic, samm and casme2
Expect: below the printed figures, with a third of the clips; not run here
STSTNet's: flow by TV-L1 from onset to apex in 28 pixels, and its recipe as in
ststnet_megc2019.py. HSTA's: the sets, the classes and leave-one-subject-out.
"""

from data_builders.casme2 import Casme2
from data_builders.samm import Samm
from data_builders.smic import Smic
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig
from jmer.sweep import Sweep

FLOW = {"modality": "apex-flow", "size": 28, "flow": "tvl1"}
SMIC = Smic(**FLOW)

SWEEP = Sweep(
    Experiment(
        model=STSTNetConfig(),
        data=SMIC,
        optim=AdamConfig(lr=5e-5),
        epochs=800,
        batch_size=256,
        dtype="float32",
    ),
    rows={
        "SMIC-HS": {"data": SMIC},
        "SAMM": {"data": Samm(classes="megc", **FLOW)},
        "CASME II": {"data": Casme2(classes="megc", **FLOW)},
    },
)
