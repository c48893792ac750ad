"""Visual memory on CASME II: recognition and spotting, five classes.

--model.no-contrast, --model.no-temporal-net, --model.memory none, convgru,
--model.context gap and --model.fc6-dilation 2 are its parts, of which the paper has no
table.

Paper:  Nag et al. 2019: jmer report --table visual-memory-1, spotting;
        --table visual-memory-2, recognition
Run:    jmer run visual_memory_casme2 --data.manual-dir DIR
        --start-from RUN --pretrained MOTION, with the run of
        visual_memory_casme2_spatial.py and the network of motion trained on synthetic
        motion; --model.phase joint trains all at once, from random weights
Cost:   about 30,000 updates of a sequence for each of 26 folds, 4.5e16 multiplications
Expect: unknown. The paper's accuracy is no share of 246, 247 or 74 clips, so its test
        set is another one. Steps count by their intensity for the class, since most
        frames of a whole recording show nothing; --model.steps-count alike is the
        paper's. Not run here
"""

from data_builders.casme2 import Casme2
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(phase="memory", frames=64, steps_count="by-intensity"),
    # Whole recordings: spotting needs frames before the onset and after the offset. Of
    # the owners' folders, CASME2-RAW has them; CASME2_RAW_selected may begin at onset.
    data=Casme2(
        source="raw",
        align="crop",
        modality="video",
        resample="whole",
        context=1000,
        frames=64,
        size=64,
    ),
    optim=RmspropConfig(lr=1e-4, weight_decay=0.005, clip=50.0),
    epochs=127,
    batch_size=1,
    eval_every=10,
)
