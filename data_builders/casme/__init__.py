"""CASME (Yan et al. 2013): 19 subjects in the release, 60 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import AUS, UNITS, FrameSet, Labelling, same

EMOTIONS = (
    *("disgust", "repression", "surprise", "tense"),
    *("amusement", "happiness", "sadness", "contempt", "fear"),
)


@dataclass(frozen=True)
class Casme(FrameSet):
    """CASME: 189 clips of 19 subjects, 4 classes of emotion; needs a licence."""

    name: ClassVar[str] = "casme"
    frame_rate: ClassVar[float] = 60
    labellings: ClassVar = {
        "4class": Labelling(same("disgust", "repression", "surprise", "tense")),
        "meranet": Labelling(same("disgust", "repression", "tense")),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {"emotion": EMOTIONS}

    classes: Literal["4class", "meranet", "aus", "units"] = "4class"
    """4class: disgust, repression, surprise, tense. meranet: without surprise; with
    min_frames=16 its paper prints 34, 36 and 45 clips. aus: objective classes I to VII,
    from the action units. units: the same, and none, so that every clip of the sheet is
    there."""
    source: Literal["raw", "cropped"] = "cropped"
    """raw: CASME_raw_selected, or whole recordings (CASME_raw), which come first with a
    context. cropped: faces as the owners cut them out."""
