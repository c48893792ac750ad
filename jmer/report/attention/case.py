"""What the figures of a network are drawn from."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.special import softmax

from jmer.models.base import NetworkConfig
from jmer.train.tasks import Task


@dataclass(frozen=True, eq=False)
class Case:
    """A clip, and what one training that was tested on it made of it."""

    folder: Path
    """Directory of the run."""
    network: NetworkConfig
    task: Task
    """The training: its fold, seed and variant."""
    subject_unseen: bool
    """Whether the run's protocol keeps subjects apart."""
    classes: tuple[str, ...]
    dataset: str
    subject: str
    clip: str
    label: int
    """Index of the true class."""
    interval: tuple[int, int]
    """Onset and offset in the stored clip, both frames of it; -1 where unknown."""
    inputs: Mapping[str, np.ndarray]
    """All features that the data set has of the clip, as they are stored."""
    logits: Float32[np.ndarray, " k"]
    shown: Mapping[str, np.ndarray]
    """What the network's `explain` returned beside them."""
    weights: Mapping[str, np.ndarray]
    """Arrays of the training by path (`params.…`, `stats.…`)."""
    apex: int = -1
    """The apex frame in the stored clip; -1 where unknown."""

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Of the classes, [k]."""
        return softmax(self.logits.astype(np.float64))

    @property
    def predicted(self) -> int:
        """Index of the class that it was taken for."""
        return int(self.logits.argmax())

    @property
    def right(self) -> bool:
        """Whether that is the true one."""
        return self.predicted == self.label


def as_rgb(images: np.ndarray) -> UInt8[np.ndarray, "n h w 3"]:
    """Images [n, h, w, 1 or 3] as RGB: pixels of 0 to 255 as they are, other numbers
    from the smallest of all to the largest.
    """
    if images.dtype != np.uint8:
        values = images.astype(np.float32)
        values -= values.min()
        images = np.rint(255 * values / (values.max() or 1)).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))
