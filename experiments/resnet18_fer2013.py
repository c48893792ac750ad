"""ResNet-18 on FER2013: the backbone that AMAN sees frames by.

Paper:  AMAN, section 3.1.1: pre-trained on "FER2017"; its published code has FER+, the
        same images with other labels: resnet18_ferplus.py. No accuracy is printed
Run:    jmer run resnet18_fer2013 --data.manual-dir DIR
Then:   jmer weights export runs/resnet18_fer2013 --fold privatetest --out fer.pth
        jmer run aman_casme2 --model.backbone fer.pth ...
Cost:   about 7e15 multiplications: 2 trainings of 20 epochs on 32,298 images
Expect: about 0.70 in each half of the test set, as others report; not run here
The optimiser, the epochs and the size of 224 pixels, which AMAN's frames have, are not
from the paper. The fold `privatetest` is trained on the rest, and tested on that half.
Synthetic faces do as well: jmer data synthesize --layout fer2013 --out DIR.
"""

from data_builders.fer2013 import Fer2013
from jmer.experiment import Experiment
from jmer.models.resnet18 import Resnet18Config
from jmer.optim import AdamConfig

EXPERIMENT = Experiment(
    model=Resnet18Config(),
    data=Fer2013(),
    optim=AdamConfig(lr=1e-3),
    epochs=20,
    batch_size=128,
)
