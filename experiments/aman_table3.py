"""AMAN, table 3: its two attentions, each alone and both, on three data sets.

Paper:  AMAN, table 3: jmer report --table aman-3
Run:    jmer run aman_table3 --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
        (DIR has the folders casme2, samm and smic)
Cost:   about 2.3e17 multiplications
Expect: see aman_casme2.py; not run here
"""

from jmer.experiment import load_experiment
from jmer.papers import table
from jmer.sweep import Sweep

FILES = {"CASME II": "aman_casme2", "SAMM": "aman_samm", "SMIC-HS": "aman_smic"}
SETS = {name: load_experiment(file) for name, file in FILES.items()}

SWEEP = Sweep(
    SETS["CASME II"],
    rows={
        f"{part}, {name}": {"data": one.data, **fields}
        for name, one in SETS.items()
        for part, fields in table("aman-3").sweep_rows(name).items()
    },
)
