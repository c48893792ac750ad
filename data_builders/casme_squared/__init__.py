"""CAS(ME)² (Qu et al. 2018): 22 subjects, 30 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import AUS, UNITS, FrameSet, Labelling, same

EMOTIONS = ("negative", "positive", "surprise", "others")
STIMULI = ("happy", "anger", "disgust")


@dataclass(frozen=True)
class CasmeSquared(FrameSet):
    """CAS(ME)²: 57 micro-expressions of 14 subjects; needs a licence."""

    name: ClassVar[str] = "casme_squared"
    frame_rate: ClassVar[float] = 30
    labellings: ClassVar = {
        "4class": Labelling(same(*EMOTIONS)),
        "meranet": Labelling(
            {"happiness": ("happy",), "anger": ("anger",), "disgust": ("disgust",)},
            column="stimulus",
        ),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {"emotion": EMOTIONS, "stimulus": STIMULI}

    classes: Literal["4class", "meranet", "aus", "units"] = "meranet"
    """4class: negative, positive, surprise, others. meranet: happiness, anger and
    disgust by what the subjects watched (22, 17 and 18 clips; the paper prints 18, 22
    and 17, which no column gives). aus: objective classes I to VII, from the action
    units. units: the same, and none, so that every clip of the sheet is there."""
    source: Literal["raw", "cropped"] = "cropped"
    """raw: rawpic. cropped: longVideoFaceCropped."""
