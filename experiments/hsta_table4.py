"""HSTA, table 4: how many layers, for three shapes of them.

A sweep over `model.depth`; `--cells "N=4 lv=2 ls=1"` runs HSTA's own entry alone.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-4
Run:    jmer run hsta_table4 --data.manual-dir DIR --protocol.lists LISTS
Cost:   about 6.8e16 multiplications for HSTA's own entry of 4 layers
Expect: UF1 about 0.35; not run here, the data need a licence
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

SWEEP = Sweep(
    Experiment(
        model=HstaConfig(),
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
    rows=table("hsta-4").sweep_rows(),
)
