"""Visual memory's first phase by the recipe of its paper, small, on synthetic videos.

The optimiser and the schedule of visual_memory_casme2_spatial.py, on the videos of
visual_memory.py beside it; but no VGG-16 of this width was trained on ImageNet, so it
starts from random weights.

Run:    jmer run synthetic/visual_memory_recipe_spatial --run-dir RUN
Cost:   10 minutes on 2 CPU cores that others used too
Expect: chance, ACC 0.333 (0.242 to 0.442 over subjects); visual_memory_recipe.py goes
        on from it
"""

import dataclasses

from jmer.experiment import load_experiment
from jmer.models.visual_memory import VisualMemoryConfig

EXPERIMENT = dataclasses.replace(
    load_experiment("visual_memory_casme2_spatial"),
    model=VisualMemoryConfig(phase="spatial", frames=40, steps=4, size=32, width=8),
    data=load_experiment("synthetic/visual_memory").data,
    protocol=load_experiment("synthetic/visual_memory").protocol,
    eval_every=34,
)
