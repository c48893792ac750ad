"""MERANet, figure 5: validation losses by the kernel of space-time attention.

Kernels of 3, 5 and 7 on CAS(ME)²; a sweep of meranet_casme_squared.py, which says what
is the paper's and what was chosen.

Paper:  Gajjala et al. 2021, figure 5, which prints no numbers
Run:    jmer run meranet_figure5 --data.manual-dir DIR; the figure is
        figures/curves.png in the report of the sweep
Cost:   about 2.7e15 multiplications
Expect: the paper finds 5 best, by one validation set of 9 clips; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("meranet_casme_squared"),
    rows={f"kernel {k}": {"model.st_kernel": k} for k in (3, 5, 7)},
)
