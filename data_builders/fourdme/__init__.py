"""4DME (Li et al. 2022): grey videos of 41 subjects, 60 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import AUS, UNITS, FrameSet, Labelling, same

EMOTIONS = ("negative", "positive", "surprise", "repression", "others")


@dataclass(frozen=True)
class Fourdme(FrameSet):
    """4DME micro-expressions in grey: 267 clips of 41 subjects; needs a licence."""

    name: ClassVar[str] = "fourdme"
    frame_rate: ClassVar[float] = 60
    labellings: ClassVar = {
        "5class": Labelling(same(*EMOTIONS)),
        "3class": Labelling(same("negative", "positive", "surprise")),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {"emotion": EMOTIONS}

    classes: Literal["5class", "3class", "aus", "units"] = "5class"
    """5class: negative, positive, surprise, repression, others. 3class: without the
    last two. aus: objective classes I to VII, from the action units. units: the same,
    and none, so that every clip of the sheet is there."""
    several: Literal["leave-out", "first"] = "leave-out"
    """A clip of several emotions, such as Surprise+Positive: leave-out, since a class
    is one emotion (`check` counts them), or its first one counts."""
    source: Literal["grey"] = "grey"
    """grey: gray_micro; colour, depth and meshes are not read."""
