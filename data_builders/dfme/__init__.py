"""DFME (Zhao et al. 2023): lists of a challenge; 200, 300 or 500 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import AUS, UNITS, FrameSet, Labelling, same

# In the order of the published numbers, from 0.
EMOTIONS = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


@dataclass(frozen=True)
class Dfme(FrameSet):
    """DFME: 1,856 clips of 176 subjects, 7 emotions, and two more lists to test;
    needs a licence."""

    name: ClassVar[str] = "dfme"
    # Of most; each clip has its own.
    frame_rate: ClassVar[float] = 200
    labellings: ClassVar = {
        "7class": Labelling(same(*EMOTIONS)),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {"emotion": EMOTIONS}

    classes: Literal["7class", "aus", "units"] = "7class"
    """7class: anger, contempt, disgust, fear, happiness, sadness, surprise. aus:
    objective classes I to VII, from the action units. units: the same, and none, so
    that every clip of the sheet is there."""
    part: Literal["training", "testA", "testB"] = "training"
    """The list: training (1,856 clips), testA (474) or testB (299); their subjects
    differ."""
    source: Literal["raw"] = "raw"
    """raw: the images as distributed; there are no others."""
