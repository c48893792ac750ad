"""A generated clip in its place in a set, and the forms in which its images appear."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from jmer.synthetic.rendering import SyntheticClip


@dataclass(frozen=True)
class ImageForm:
    """One form in which the images are distributed."""

    aspect: float
    """Width by height of a frame."""
    grey: bool = False
    whole: bool = True
    """With frames at rest before the onset and after the offset."""


@dataclass(frozen=True)
class Shot:
    """A generated clip and its place in the set, from which all names derive."""

    clip: SyntheticClip
    index: int
    """Of the clip in the set, from 0."""
    subject: int
    """From 0."""
    count: int
    """Clips of that subject before this one."""
    word: str
    """The emotion as the sheet calls it."""
    start: int = 1
    """Number of the first frame in its recording."""
    part: str = ""
    """Where a set has several, the one it belongs to."""

    @cached_property
    def frames(self) -> UInt8[np.ndarray, "t h w 3"]:
        """From `start` on, with at least one at rest on either side."""
        frames = self.clip.frames
        return np.concatenate([frames[:1], frames, frames[-1:]])

    @property
    def onset(self) -> int:
        return self.start + 1 + self.clip.onset

    @property
    def apex(self) -> int:
        return self.start + 1 + self.clip.apex

    @property
    def offset(self) -> int:
        return self.start + 1 + self.clip.offset
