"""MERANet, figure 4: validation losses of the two forms of channel attention.

Convolutions of one pixel (CN-SCNN) and linear layers (CN-SMLP) in the shared network,
on CAS(ME)²; a sweep of meranet_casme_squared.py, which says what is the paper's and
what was chosen. Of one value a channel both compute the same, and start from the same
weights here: the two curves lie on each other but for rounding. The gap that the paper
draws is not of the form.

Paper:  Gajjala et al. 2021, figure 4, which prints no numbers
Run:    jmer run meranet_figure4 --data.manual-dir DIR; the figure is
        figures/curves.png in the report of the sweep
Cost:   about 1.8e15 multiplications
Expect: two curves that are one; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("meranet_casme_squared"),
    rows={"CN-SCNN": {}, "CN-SMLP": {"model.ca_shared": "mlp"}},
)
