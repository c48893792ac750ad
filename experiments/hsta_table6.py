"""HSTA, table 6: CAS(ME)³, 3 and 7 classes, leave-one-subject-out.

A sweep of hsta_table6_3class.py and hsta_table6_7class.py.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-6
Run:    jmer run hsta_table6 --data.manual-dir DIR
Cost:   about 3.2e18 multiplications
Expect: below the paper, whose code trains on frames of the test subject; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("hsta_table6_7class"),
    rows={"3 classes": {"data.classes": "3class"}, "7 classes": {}},
)
