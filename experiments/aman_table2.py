"""AMAN, table 2: CASME II, SAMM and SMIC-HS, leave-one-subject-out.

A sweep of aman_casme2.py, aman_samm.py and aman_smic.py.

Paper:  AMAN, table 2: jmer report --table aman-2
Run:    jmer run aman_table2 --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
        (DIR has the folders casme2, samm and smic)
Cost:   about 7.5e16 multiplications, and 6.3e14 for features
Expect: see the three files; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

CASME2, SAMM, SMIC = (
    load_experiment(f"aman_{name}") for name in ("casme2", "samm", "smic")
)

SWEEP = Sweep(
    CASME2,
    rows={
        "CASME II": {"data": CASME2.data},
        "SAMM": {"data": SAMM.data},
        "SMIC-HS": {"data": SMIC.data},
    },
)
