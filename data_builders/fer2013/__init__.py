"""FER2013 (Goodfellow et al. 2013): 35,887 still images of faces, 48x48, grey."""

from dataclasses import dataclass
from typing import ClassVar

from jmer.data.config import DataConfig

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Fer2013(DataConfig):
    """FER2013: still images, 7 classes; no subjects are known, so for pretraining, or
    to test on the two published halves of its test set only."""

    name: ClassVar[str] = "fer2013"
    stored_as: ClassVar[str] = "uint8"
