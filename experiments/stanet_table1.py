"""STANet, table 1: CASME, CASME II and SMIC-HS, leave-one-subject-out.

A sweep of stanet_casme.py, stanet_casme2.py and stanet_smic.py, which say what is the
paper's and what was chosen.

Paper:  STANet, table 1: jmer report --table stanet-1
Run:    jmer run stanet_table1 --data.manual-dir DIR --data.flow-weights FILE,
        where DIR has the folders casme, casme2 and smic
Cost:   about 5.3e16 multiplications
Expect: see the three files; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

CASME, CASME2, SMIC = (
    load_experiment(f"stanet_{name}") for name in ("casme", "casme2", "smic")
)

SWEEP = Sweep(
    CASME,
    rows={
        "CASME": {"data": CASME.data},
        "CASME II": {"data": CASME2.data, "epochs": CASME2.epochs},
        "SMIC-HS": {"data": SMIC.data, "epochs": SMIC.epochs, "model": SMIC.model},
    },
)
