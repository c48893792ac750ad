"""ResNet-18 on FER+: the backbone that AMAN sees frames by.

Paper:  AMAN, section 3.1.1: pre-trained on "FER2017", which is no known set; its code
        has a checkpoint of FER+ (Barsoum et al. 2016): the images of FER2013, each with
        the votes of ten people on eight emotions. No accuracy is printed
Run:    jmer run resnet18_ferplus --data.manual-dir DIR
        (DIR has fer2013.csv and fer2013new.csv)
Then:   jmer weights export runs/resnet18_ferplus --fold privatetest --out fer.pth
        jmer run aman_casme2 --model.backbone fer.pth ...
Cost:   about 6e15 multiplications: 2 trainings of 20 epochs on 28,259 images or so
Expect: not run here
The published checkpoint does as well: Resnet18_FER+_pytorch.pth.tar, in the folder
assets of github.com/weimengting/AMAN, is --model.backbone FILE as it is. The optimiser,
the epochs and the size of 224 pixels, which AMAN's frames have, are a choice; so is
the majority of votes as the label.
"""

import dataclasses

from data_builders.fer2013 import Fer2013
from jmer.experiment import load_experiment

EXPERIMENT = dataclasses.replace(
    load_experiment("resnet18_fer2013"), data=Fer2013(labels="fer+")
)
