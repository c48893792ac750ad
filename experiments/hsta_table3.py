"""HSTA, table 3: layers and units, row b4.

--model.depth N LS LV is any other row: 1 1 1 (b1), 2 1 1 (b2), 3 1 1 (b3), 3 1 3 (b5),
3 1 4 (b6), 3 1 5 (b7), 3 2 1 (b8), 3 2 2 (b9), 3 3 1 (b10), 3 3 2 (b11), 3 3 3 (b12).

Paper:  HSTA, Hao et al. 2024, table 3: UF1 0.320 (b4), 0.316 (b1), 0.348 (b9)
Run:    jmer run experiments/hsta_table3.py --data.manual-dir DIR
Cost:   about 5.1e16 multiplications
Expect: UF1 about 0.3; not run here, the data need a licence
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
    model=HstaConfig(depth=(3, 1, 2)),
    data=CasmeCubed(
        repairs="hsta", frames=6, resample="uniform", size=224, special="sf"
    ),
    optim=AdamWConfig(final_lr=1.25e-7, layer_decay=0.9),
    epochs=150,
    batch_size=32,
    sampling="balanced",
    protocol=ClipKFold(k=5),
)
