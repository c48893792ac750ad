"""Visual memory on CASME II: recognition and spotting, five classes.

The paper's: the network but for what its page lists, 14 neighbouring frames of 200 a
second, RMSProp as TensorFlow 1 has it, 1e-4 and 0.005, augmentation, one sequence an
update, full precision, leave one out (taken as: one subject). Chosen, since the paper
is silent: 127 epochs, which are 30,000 updates, and the clipped gradient, both of
Tokmakov et al., from memory; the crop of the face; 600 frames as the longest recording.

--model.no-contrast, --model.no-temporal-net, --model.memory none, convgru,
--model.context gap and --model.fc6-dilation 2 are its parts, of which the paper has no
table. --model.steps-count by-intensity (most frames of a whole recording show nothing)
and --optim.form torch --optim.smoothing 0.99 --optim.epsilon 1e-8 are not the paper's.

Paper:  Nag et al. 2019: jmer report --table visual-memory-1, spotting;
        --table visual-memory-2, recognition
Run:    jmer run visual_memory_casme2 --data.manual-dir DIR
        --start-from RUN --pretrained MOTION, with the run of
        visual_memory_casme2_spatial.py and the network of motion trained on synthetic
        motion; --model.phase joint trains all at once, from random weights
Cost:   about 30,000 updates of a sequence for each of 26 folds, 4.5e16 multiplications,
        and 3e14 for each of the 13 times that all clips are tested
Expect: unknown. The paper's accuracy is no share of 246, 247 or 74 clips, so its test
        set is another one. Not run here
"""

from data_builders.casme2 import Casme2
from jmer.experiment import Experiment
from jmer.models.visual_memory import VisualMemoryConfig
from jmer.optim import RmspropConfig

EXPERIMENT = Experiment(
    model=VisualMemoryConfig(phase="memory", frames=600, padded=True),
    # Whole recordings, frame by frame: spotting needs those before the onset and after
    # the offset. Of the owners' folders, CASME2-RAW has them.
    data=Casme2(
        source="raw",
        align="crop",
        modality="video",
        resample="native",
        context=1000,
        frames=600,
        size=64,
    ),
    optim=RmspropConfig(
        lr=1e-4,
        weight_decay=0.005,
        form="tensorflow",
        smoothing=0.9,
        epsilon=1e-10,
        clip=50.0,
    ),
    epochs=127,
    batch_size=1,
    eval_every=10,
    dtype="float32",
)
