"""Visual memory by the recipe of its paper, small, on synthetic videos.

Optimiser, losses, augmentation, epochs and what is trained are those of
visual_memory_casme2.py, with no setting chosen here; the videos are those of
visual_memory.py beside it, which has kinder ones.

Run:    jmer run synthetic/visual_memory_recipe_spatial --run-dir RUN, then
        jmer pretrain motion --size 32 --width 8 --steps 1500 --out MOTION, then
        jmer run synthetic/visual_memory_recipe --start-from RUN --pretrained MOTION
Cost:   5 minutes on 2 CPU cores that others used too, of them 3 for compilation
Expect: UF1 0.725 (0.632 to 0.805 over subjects), AUC of frames 0.519: it recognises and
        does not spot. docs/papers/visual-memory.md says more
"""

import dataclasses

from jmer.experiment import load_experiment
from jmer.models.visual_memory import VisualMemoryConfig

EXPERIMENT = dataclasses.replace(
    load_experiment("visual_memory_casme2"),
    model=VisualMemoryConfig(
        phase="memory", frames=40, steps=14, size=32, width=8, hidden=64
    ),
    data=load_experiment("synthetic/visual_memory").data,
    protocol=load_experiment("synthetic/visual_memory").protocol,
    eval_every=32,
)
