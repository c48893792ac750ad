"""HSTA, table 5: three classes of MEGC 2019, leave-one-subject-out.

A sweep of hsta_smic.py, hsta_samm.py and hsta_casme2.py.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-5
Run:    jmer run hsta_table5 --data.manual-dir DIR, where DIR has the
        folders smic, samm and casme2
Cost:   about 1.9e17 multiplications
Expect: below the paper, see the three files; not run here
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SMIC, SAMM, CASME2 = (
    load_experiment(f"hsta_{name}") for name in ("smic", "samm", "casme2")
)

SWEEP = Sweep(
    SMIC,
    rows={
        "SMIC-HS": {"data": SMIC.data},
        "SAMM": {"data": SAMM.data},
        "CASME II": {"data": CASME2.data},
    },
)
