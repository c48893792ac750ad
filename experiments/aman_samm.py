"""AMAN on SAMM, five classes, leave-one-subject-out.

Paper:  AMAN, table 2: jmer report --table aman-2. Other rows are an option away:
            --model.n 5        figure 3, aman_figure3.py: numbers of frames, 1 to 20
            --model.fa mean    table 3, aman_table3.py: magnification attention alone
            --model.ma single:5  table 3: frame attention alone
Run:    jmer run aman_samm --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
        (fer.pth: experiments/resnet18_ferplus.py, or the published checkpoint)
Cost:   about 2.2e16 multiplications, and 1.6e14 once for features of 2.7 GB
Expect: not run here, the data need a licence; see experiments/aman_casme2.py
Of the paper: table 2's data sets, classes and protocol; 9 factors, 11 frames at even
        steps from the beginning of 20; landmarks, 224 pixels; ResNet-18 of expressions,
        its fourth stage tuned
Of the published code, where the paper is silent: optimiser, epochs, batches of 4, batch
        norm image by image, whole pixels of magnified images, float32
A choice: which five points align a face, factors as the published magnifier takes them,
        weights after the last epoch
Every statement of the paper and its field: docs/papers/aman.md.
"""

from data_builders.samm import Samm
from jmer.experiment import Experiment
from jmer.models.aman import AmanConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=AmanConfig(),
    data=Samm(frames=20, resample="tim", size=224, align="landmarks"),
    optim=RmspropConfig(lr=1e-3, weight_decay=1e-4, every=30),
    epochs=50,
    batch_size=4,
    dtype="float32",
)
