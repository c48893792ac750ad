"""AMAN, table 1: how many factors of magnification, on CASME II.

Paper:  AMAN, table 1: jmer report --table aman-1
Run:    jmer run aman_table1 --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
Cost:   about 1.9e17 multiplications, and 1.4e15 for features
Expect: see aman_casme2.py; not run here
"""

from jmer.experiment import load_experiment
from jmer.papers import table
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("aman_casme2"),
    rows=table("aman-1").sweep_rows(),
)
