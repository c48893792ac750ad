"""FER2013 (Goodfellow et al. 2013): 35,887 still images of faces, 48x48, grey."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from jmer.data.config import DataConfig

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PLUS = (
    *("neutral", "happiness", "surprise", "sadness"),
    *("anger", "disgust", "fear", "contempt"),
)
"""The classes of FER+, in the order of its columns."""


@dataclass(frozen=True)
class Fer2013(DataConfig):
    """FER2013: still images, 7 classes, or the 8 of FER+; no subjects are known, so for
    pretraining, or to test on the two published halves of its test set only."""

    name: ClassVar[str] = "fer2013"
    stored_as: ClassVar[str] = "uint8"

    labels: Literal["fer2013", "fer+"] = "fer2013"
    """fer2013: the emotion that fer2013.csv has. fer+: the majority of the ten votes in
    fer2013new.csv (Barsoum et al. 2016), which lies beside it; images that most people
    took for no face or no known emotion, or without a majority, are left out."""

    @property
    def recipe(self) -> dict[str, Any]:
        """Nothing, as before there was a choice, for FER2013's own labels."""
        return {} if self.labels == "fer2013" else super().recipe
