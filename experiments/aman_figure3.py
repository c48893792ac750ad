"""AMAN, figure 3: how many frames of a clip, on CASME II.

The paper prints no figures, only curves; on another set,
    jmer run aman_samm --sweep model.n=1,5,11,20 ...

Paper:  AMAN, figure 3
Run:    jmer run aman_figure3 --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
Cost:   about 3.8e16 multiplications with 11 frames
Expect: nothing to compare with; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("aman_casme2"),
    values={"model.n": tuple(range(1, 21))},
)
