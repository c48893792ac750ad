"""HSTA, figure 3: how many frames of a clip, for one layer of USTA on the video alone.

A sweep over numbers of frames, even ones, since two make a patch; the paper prints no
figures, only a curve, which the report of the sweep draws (figures/over-num-frames.png,
under "Scores over values"). Everything else is hsta_table1_video.py's, with one unit.

Paper:  HSTA, Hao et al. 2024, figure 3
Run:    jmer run hsta_figure3 --data.manual-dir DIR --protocol.lists LISTS
Cost:   about 9e15 multiplications with 6 frames
Expect: nothing to compare with; not run here
The folds are of clips, so nearly everyone tested is trained on too: not
subject-independent, and every report says so.
"""

from jmer.experiment import load_experiment
from jmer.sweep import Sweep

SWEEP = Sweep(
    load_experiment("hsta_table1_video"),
    rows={
        f"{count} frames": {"model.num_frames": count, "data.frames": count}
        for count in (2, 4, 6, 8, 10, 12)
    },
)
