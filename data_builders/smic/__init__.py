"""SMIC (Li et al. 2013): a high-speed part, and slower visible and infrared ones."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import FrameSet, Labelling, same

CLASSES = ("negative", "positive", "surprise")


@dataclass(frozen=True)
class Smic(FrameSet):
    """SMIC: 164 high-speed clips of 16 subjects in 3 classes; needs a licence."""

    name: ClassVar[str] = "smic"
    labellings: ClassVar = {"3class": Labelling(same(*CLASSES))}
    vocabulary: ClassVar = {"emotion": CLASSES}

    classes: Literal["3class"] = "3class"
    """3class: negative, positive, surprise."""
    part: Literal["HS", "VIS", "NIR"] = "HS"
    """High-speed (100 frames a second), visible or near infrared light (25)."""
    source: Literal["raw", "cropped", "long"] = "cropped"
    """raw: SMIC_all_raw. cropped: SMIC_all_cropped. long: SMIC-E, whole recordings with
    an annotation sheet (157 of HS, of which five show two micro-expressions)."""
    missing_apex: Literal["refuse", "middle"] = "middle"
    """The owners give no apex: refuse such clips, or let them peak halfway."""

    @property
    def frame_rate(self) -> float:
        return 100 if self.part == "HS" else 25
