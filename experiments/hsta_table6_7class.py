"""HSTA, table 6: CAS(ME)³, 7 classes, leave-one-subject-out.

Paper:  HSTA, Hao et al. 2024: jmer report --table hsta-6
Run:    jmer run hsta_table6_7class --data.manual-dir DIR
Cost:   about 1.6e18 multiplications, 94 trainings of 150 epochs
Expect: below the paper, whose code trains on frames of the test subject; not run here
The paper's: what section 4.1 states. Its code's, where it is silent: widths, patches,
dropout, rates of stochastic depth, the cosine's end, decay by layer, the loss and
bilinear frames. Chosen: frames at even distances, as the text has it.
"""

from data_builders.casme_cubed import CasmeCubed
from jmer.experiment import Experiment
from jmer.models.hsta import HstaConfig
from jmer.optim import AdamWConfig

EXPERIMENT = Experiment(
    model=HstaConfig(),
    data=CasmeCubed(
        classes="7class",
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
)
