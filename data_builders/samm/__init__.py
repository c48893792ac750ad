"""SAMM (Davison et al. 2018): 29 subjects in the sheet, 200 grey frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.config import FrameSet, Protocol, megc, same

NEGATIVE = ("anger", "contempt", "disgust", "fear", "sadness")
OTHER = ("other", "others")


@dataclass(frozen=True)
class Samm(FrameSet):
    """SAMM: 136 clips of 27 subjects in 5 classes; needs a licence."""

    name: ClassVar[str] = "samm"
    protocols: ClassVar = {
        "5class": Protocol(
            {**same("anger", "contempt", "happiness", "surprise"), "other": OTHER}
        ),
        "megc": Protocol(megc(NEGATIVE)),
    }
    vocabulary: ClassVar = {"emotion": (*NEGATIVE, "happiness", "surprise", *OTHER)}

    protocol: Literal["5class", "megc"] = "5class"
    """5class: anger, contempt, happiness, surprise, other. megc: negative, positive,
    surprise as in MEGC 2019, 133 clips."""
    source: Literal["raw"] = "raw"
    """raw: the images as distributed; there are no others."""
