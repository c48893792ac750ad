"""What the figures of a network are drawn from."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.special import expit, softmax

from jmer.models.base import NetworkConfig
from jmer.scores.labels import JOINED
from jmer.scores.units import NOBODY
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
    """Index of the true class. Of action units, of which `shown_units` are true, that
    one of them which the training thinks likeliest; its likeliest where none is true.
    """
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
    shown_units: tuple[int, ...] | None = None
    """Indices of the action units that the clip shows; None where labels are classes.
    """

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """Of the classes, [k], or of each unit."""
        if self.shown_units is not None:
            return expit(self.logits.astype(np.float64))
        return softmax(self.logits.astype(np.float64))

    @property
    def predicted(self) -> int:
        """Index of the class that it was taken for, or of the likeliest unit."""
        return int(self.logits.argmax())

    @property
    def truth(self) -> tuple[int, ...]:
        """The true class, or units."""
        return (self.label,) if self.shown_units is None else self.shown_units

    @property
    def found(self) -> tuple[int, ...]:
        """What it was taken for: one class, or units."""
        if self.shown_units is None:
            return (self.predicted,)
        return tuple(np.flatnonzero(self.logits > 0).tolist())

    @property
    def right(self) -> bool:
        """Whether that is the true one, or are all the true ones."""
        return self.found == self.truth

    def named(self, places: Sequence[int]) -> str:
        """Classes or units in words."""
        return JOINED.join(self.classes[i] for i in places) or NOBODY


def label_in(
    label: np.ndarray | np.integer, logits: np.ndarray
) -> tuple[int, tuple[int, ...] | None]:
    """`label` and `shown_units` of a case, of what a set says of its clip."""
    if not isinstance(label, np.ndarray):
        return int(label), None
    shown = np.flatnonzero(label)
    among = shown if len(shown) else np.arange(len(label))
    return int(among[logits[among].argmax()]), tuple(shown.tolist())


def as_rgb(images: np.ndarray) -> UInt8[np.ndarray, "n h w 3"]:
    """Images [n, h, w, 1 or 3] as RGB: pixels of 0 to 255 as they are, other numbers
    from the smallest of all to the largest.
    """
    if images.dtype != np.uint8:
        values = images.astype(np.float32)
        values -= values.min()
        images = np.rint(255 * values / (values.max() or 1)).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))
