"""STANet without its parts, small, on the embedded synthetic faces.

A sweep of the four rows of the paper's table 2, on other data: the figures say nothing
about the paper's, and `jmer report` shows them beside these only with --other-data.

Run:    jmer run synthetic/stanet_ablation
Then:   jmer report runs/stanet_ablation --table stanet-2 --other-data
Cost:   about four times that of experiments/synthetic/stanet.py: 5 minutes
Expect: UF1 0.692, 0.733, 0.807 and, as experiments/synthetic/stanet.py, 0.702 (seed 0);
        only +SAB+l1 stands out from base (p 0.051, corrected), which one seed and 12
        subjects do not make a result
"""

from jmer.experiment import load_experiment
from jmer.papers import table
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("synthetic/stanet"),
    rows=table("stanet-2").sweep_rows(),
)
