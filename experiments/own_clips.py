"""STSTNet on clips of one's own: a table, and videos or folders of frames.

Run:    jmer run own_clips --data.table clips.csv
Cost:   100 clips of 10 people take a minute or two to prepare, and as long to train, on
        2 CPU cores
Expect: what your clips give; a first result, with which other networks can be compared
`jmer data new folder` begins the table. Its words are the classes, and of every clip
the flow from onset to apex is seen; of clips without apex `--data.missing-apex middle`
shows the middle.
"""

from data_builders.folder import Folder
from jmer.experiment import Experiment
from jmer.models.ststnet import STSTNetConfig
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=STSTNetConfig(),
    data=Folder(modality="apex-flow", size=28),
    optim=AdamConfig(lr=1e-3),
    epochs=100,
    batch_size=32,
)
