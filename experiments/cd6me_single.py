"""Off-ApexNet on five sets of CD6ME, each alone: action units, leaving one subject out.

A sweep, with the benchmark's defaults: Adam at 1e-4 with an L2 penalty of 1e-3, 200
epochs, batches of 32. Each set has the action units that enough of its clips show, as
meb has them; a figure on one set compares with none on another.

Paper:  Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
        analysis"; no table of it is of this network
Run:    jmer run cd6me_single --data.manual-dir DIR, where DIR has the folders casme,
        casme2, samm, mmew and fourdme
Expect: above always answering that all is shown, by the report; not run here
"""

from data_builders.casme import Casme
from data_builders.casme2 import Casme2
from data_builders.fourdme import Fourdme
from data_builders.mmew import Mmew
from data_builders.samm import Samm
from jmer.data.extract import Extract
from jmer.experiment import Experiment
from jmer.models.offapexnet import OffApexNetConfig
from jmer.optim import AdamConfig
from jmer.sweep import Sweep

SEEN = {
    **{"classes": "units", "modality": "apex-flow", "size": 28, "flow": "tvl1"},
    "align": "crop",
}


def units(*numbers: int) -> Extract:
    return Extract(action_units=numbers)


SWEEP = Sweep(
    Experiment(
        model=OffApexNetConfig(),
        data=Casme2(**SEEN),
        extract=units(1, 2, 4, 7, 12, 14, 15, 17),
        optim=AdamConfig(lr=1e-4, weight_decay=1e-3),
        epochs=200,
        batch_size=32,
        seeds=(45, 46, 47, 48, 49),
        dtype="float32",
    ),
    rows={
        "CASME II": {},
        "SAMM": {"data": Samm(**SEEN), "extract": units(2, 4, 7, 12)},
        "CASME": {"data": Casme(**SEEN), "extract": units(1, 4, 9, 14)},
        "MMEW": {
            "data": Mmew(**SEEN),
            "extract": units(1, 2, 4, 5, 7, 10, 12, 14),
        },
        "4DME": {
            "data": Fourdme(**SEEN),
            "extract": units(1, 2, 4, 6, 7, 12, 17, 45),
        },
    },
)
