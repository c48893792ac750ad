"""HSTA, table 1: how many units of attention for the video alone.

A sweep of eight cells; `--cells "video 4"` runs one of them.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-1
Run:    jmer run hsta_table1_video --data.manual-dir DIR --protocol.lists LISTS
Cost:   about 9e15 multiplications for one unit
Expect: UF1 about 0.3; not run here, the data need a licence
The folds are the lists of the authors' code (its folder `emothion_as_label`, given as
LISTS); --protocol clip-kfold draws others by a split seed. They are of clips, so nearly
everyone tested is trained on too: not subject-independent, and every report says so.
The paper's: what section 4.1 states, and what this table varies. Its code's, where it
is silent: widths, patches, dropout, rates of stochastic depth, the cosine's end, decay
by layer, the loss, repairs and bilinear frames. Chosen: frames at even distances, as
the text has it; that code draws others whenever it looks.
"""

from data_builders.casme_cubed import CasmeCubed
from jmer.data.listed import ClipLists
from jmer.experiment import Experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamWConfig
from jmer.papers import table
from jmer.sweep import Sweep

ROWS = table("hsta-1").sweep_rows()
SWEEP = Sweep(
    Experiment(
        model=HstaConfig(depth=(1, 0, 1), csta=False, streams="v"),
        data=CasmeCubed(
            repairs="hsta",
            frames=6,
            resample="uniform",
            size=224,
            resize="bilinear",
            special="sf",
        ),
        optim=AdamWConfig(final_lr=1.25e-7, layer_decay=0.9),
        epochs=150,
        batch_size=32,
        sampling="balanced",
        dtype="float32",
        protocol=ClipLists(k=5),
    ),
    rows={name: row for name, row in ROWS.items() if row["model.streams"] == "v"},
)
