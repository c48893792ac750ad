"""SAMM (Davison et al. 2018): 29 subjects in the sheet, 200 grey frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import (
    AUS,
    OBJECTIVE_CLASS,
    UNITS,
    FrameSet,
    Labelling,
    megc,
    objective,
    same,
)

NEGATIVE = ("anger", "contempt", "disgust", "fear", "sadness")
OTHER = ("other", "others")


@dataclass(frozen=True)
class Samm(FrameSet):
    """SAMM: 136 clips of 27 subjects in 5 classes; needs a licence."""

    name: ClassVar[str] = "samm"
    frame_rate: ClassVar[float] = 200
    labellings: ClassVar = {
        "5class": Labelling(
            {**same("anger", "contempt", "happiness", "surprise"), "other": OTHER}
        ),
        "megc": Labelling(megc(NEGATIVE)),
        "objective": Labelling(objective(), column=OBJECTIVE_CLASS),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {
        "emotion": (*NEGATIVE, "happiness", "surprise", *OTHER),
        OBJECTIVE_CLASS: sum(objective().values(), ()),
    }

    classes: Literal["5class", "megc", "objective", "aus", "units"] = "5class"
    """5class: anger, contempt, happiness, surprise, other. megc: negative, positive,
    surprise as in MEGC 2019, 133 clips. objective: classes I to VII of action units, as
    the sheet has them. aus: as the action units give them. units: the same, and none,
    so that every clip of the sheet is there."""
    source: Literal["raw", "long"] = "raw"
    """raw: the clips as distributed. long: the micro-expressions in SAMM_longvideos;
    their emotions are those of the clips of the same name."""
