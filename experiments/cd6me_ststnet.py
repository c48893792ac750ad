"""STSTNet on CD6ME: action units of six data sets, leaving one data set out.

Of the library meb, whose benchmark this is: 2,031 clips, twelve action units, a fold
for each data set, and its defaults: Adam at 1e-4 with an L2 penalty of 1e-3, 200
epochs, batches of 32. The row of the table is with this network's own rate and epochs:
--optim.lr 5e-5 --epochs 500. Chosen here: flow by TV-L1 from onset to apex in 28
pixels, of a square around the face, where meb has another method (Sun et al. 2014) on
the owners' faces.

Paper:  Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
        analysis": jmer report --table cd6me-1
Run:    jmer run cd6me_ststnet --data.manual-dir DIR, where DIR has a folder for each
        set: CASME, CASME2, SAMM, 4DME, MMEW, CASME3
Expect: near F1 0.318 with those, if flow of another kind makes no difference; not run
        here, the data need six licences. Always answering that all is shown has 0.178
A square around the face needs `pip install 'jmer[faces]'`, or --data.landmarks FILE;
--data.align none takes the frames as they are.
"""

from data_builders.cd6me import Cd6me
from jmer.data.by_set import Lodo
from jmer.data.extract import Extract
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Cd6me(modality="apex-flow", size=28, flow="tvl1", align="crop"),
    extract=Extract(action_units=(1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)),
    optim=AdamConfig(lr=1e-4, weight_decay=1e-3),
    epochs=200,
    batch_size=32,
    seeds=(45, 46, 47, 48, 49),
    dtype="float32",
    protocol=Lodo(),
)
