"""AMAN, figure 3: how many frames of a clip, on CASME II, SAMM and SMIC-HS.

A sweep of aman_casme2.py, aman_samm.py and aman_smic.py, whose report draws the curves
of accuracy. The paper prints no figures, only the curves.

Paper:  AMAN, figure 3
Run:    jmer run aman_figure3 --data.manual-dir DIR --model.magnifier
        learning_based_mag.pth.tar --model.backbone fer.pth
        (DIR has the folders casme2, samm and smic)
Cost:   about 7.2e17 multiplications; features of all 20 frames and 9 factors once, of
        which each cell reads its own: 20 GB on disk
Expect: nothing to compare with; not run here
Frames are chosen "from the beginning at a certain interval" (section 2.1): one frame is
the onset alone, which shows no motion, so the curve begins low. The paper's does not
vary much, and equation 3 takes "another frame": --model.pick without-onset is that.
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

FILES = {"CASME II": "aman_casme2", "SAMM": "aman_samm", "SMIC-HS": "aman_smic"}
SETS = {name: load_experiment(file) for name, file in FILES.items()}

SWEEP = Sweep(
    SETS["CASME II"],
    rows={name: {"data": one.data} for name, one in SETS.items()},
    values={"model.n": tuple(range(1, 21))},
)
