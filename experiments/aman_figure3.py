"""AMAN, figure 3: how many frames of a clip, on CASME II.

The paper prints no figures, only curves; on another set,
    jmer run experiments/aman_samm.py --sweep model.n=1,5,11,20 ...

Paper:  AMAN, figure 3
Run:    jmer run experiments/aman_figure3.py --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
Cost:   about 3.8e16 multiplications with 11 frames
Expect: nothing to compare with; not run here
"""

from pathlib import Path

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment(Path(__file__).parent / "aman_casme2.py"),
    values={"model.n": tuple(range(1, 21))},
)
