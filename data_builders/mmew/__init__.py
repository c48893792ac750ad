"""MMEW (Ben et al. 2021): micro-expressions of 36 subjects, 90 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import AUS, UNITS, FrameSet, Labelling, same

SIX = ("happiness", "surprise", "disgust", "fear", "sadness", "anger")
# The sheet says others where the folders say repression, or so a public loader has it.
OTHERS = ("others", "repression")
THREE = {
    "negative": ("anger", "disgust", "fear", "sadness"),
    "positive": ("happiness",),
    "surprise": ("surprise",),
}


@dataclass(frozen=True)
class Mmew(FrameSet):
    """MMEW: 300 clips of 36 subjects, 7 classes of emotion; needs a licence."""

    name: ClassVar[str] = "mmew"
    frame_rate: ClassVar[float] = 90
    labellings: ClassVar = {
        "7class": Labelling({**same(*SIX), "others": OTHERS}),
        "6class": Labelling(same(*SIX)),
        "4class": Labelling({**THREE, "others": OTHERS}),
        "3class": Labelling(THREE),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {"emotion": (*SIX, *OTHERS)}

    classes: Literal["7class", "6class", "4class", "3class", "aus", "units"] = "7class"
    """7class: happiness, surprise, disgust, fear, sadness, anger, others, which some
    copies call repression. 6class: without others. 4class: negative (anger, disgust,
    fear, sadness), positive, surprise, others. 3class: without others. aus: objective
    classes I to VII, from the action units. units: the same, and none, so that every
    clip of the sheet is there."""
    source: Literal["cropped"] = "cropped"
    """cropped: faces as the owners cut them out; there are no others."""
