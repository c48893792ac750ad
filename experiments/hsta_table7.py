"""HSTA, table 7: other special data and labels; this file is the row of special frames.

    --data.special of            tracks of optical flow instead
    --data.protocol objective    objective classes I to VII as labels

Paper:  HSTA, Hao et al. 2024, table 7: UF1 0.351 (this), 0.354 (of), 0.430 (objective)
Run:    jmer run experiments/hsta_table7.py --data.manual-dir DIR
Cost:   about 6.8e16 multiplications at 4 layers, 5 trainings of 150 epochs
Expect: UF1 about 0.35; not run here, the data need a licence
The rows with macro-expressions are in `hsta_table7_macro.py`.
The folds are of clips, so nearly everyone tested is trained on too: not
subject-independent, and every report says so. Folds are drawn by the split seed; the
authors' own lists are theirs.
"""

from data_builders.casme_cubed import CasmeCubed
from jmer.data.splits import ClipKFold
from jmer.experiment import Experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=HstaConfig(),
    data=CasmeCubed(
        repairs="hsta", frames=6, resample="uniform", size=224, special="sf"
    ),
    optim=AdamWConfig(final_lr=1.25e-7, layer_decay=0.9),
    epochs=150,
    batch_size=32,
    sampling="balanced",
    protocol=ClipKFold(k=5),
)
