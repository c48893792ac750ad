"""HSTA, table 7: macro-expressions train too; this file is the row of special frames.

hsta_table7.py has all rows. --data.special of is that with tracks of optical flow.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-7
Run:    jmer run hsta_table7_macro --data.manual-dir DIR --protocol.lists LISTS
Data:   `part_A` of CAS(ME)3 and both of its sheets: of the micro-expressions, and of
        all expressions, `CAS(ME)3_part_A_v2.xls`
Cost:   about 3.4e17 multiplications at 4 layers, 5 trainings of 150 epochs
Expect: UF1 about 0.53; not run here, the data need a licence
The folds are the lists of the authors' code for objective classes, another division
than that for emotions (its folder `Objective_class_as_label`, given as LISTS).
The macro-expressions are never tested. The folds are of clips, so nearly everyone
tested is trained on too, by macro-expressions of the same video as well: not
subject-independent, and every report says so.
The paper's: what section 4.1 states. Its code's, where it is silent: widths, patches,
dropout, rates of stochastic depth, the cosine's end, decay by layer, the loss and
bilinear frames. Chosen: frames at even distances, as the text has it.
"""

from data_builders.casme_cubed import CasmeCubed
from jmer.data.listed import ClipLists
from jmer.experiment import Experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=HstaConfig(),
    data=CasmeCubed(
        classes="objective",
        source="videos",
        macro=True,
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
)
