"""HSTA, table 7: other special data and labels, and macro-expressions that train too.

A sweep; `--cells SF OF OC` are the rows that need no videos. SF: special frames, OF:
tracks of optical flow, OC: objective classes, MaE: macro-expressions.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-7
Run:    jmer run hsta_table7 --data.manual-dir DIR --protocol.lists LISTS
Cost:   about 6.8e16 multiplications for each row, 3.4e17 with macro-expressions
Expect: UF1 about 0.35; not run here, the data need a licence
The rows of objective classes (`--cells OC OF+MaE+OC SF+MaE+OC`) have lists of their
own in the authors' code, `Objective_class_as_label`: run them apart, with these. Those
with macro-expressions need what `hsta_table7_macro.py` says.
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
    rows=table("hsta-7").sweep_rows(),
)
