"""Visual memory on CASME II, the paper's other division: 30 % by subject.

Nobody is on both sides. The paper's: 70 % and 30 %, and all that
visual_memory_casme2.py says. Chosen: that subjects are kept apart, since the paper does
not say, and which they are (--protocol.split-seed).

Paper:  Nag et al. 2019, section 3: jmer report --table visual-memory-1, visual-memory-2
Run:    jmer run visual_memory_casme2_spatial --data.manual-dir DIR
        --pretrained vgg16.pth --protocol hold-out --protocol.fraction 0.3
        --run-dir RUN, then jmer run visual_memory_casme2_70_30
        --data.manual-dir DIR --start-from RUN --pretrained MOTION
Cost:   a 26th of visual_memory_casme2.py
Expect: unknown; not run here
"""

import dataclasses

from jmer.data.splits import HoldOut
from jmer.experiment import load_experiment

EXPERIMENT = dataclasses.replace(
    load_experiment("visual_memory_casme2"), protocol=HoldOut(fraction=0.3)
)
