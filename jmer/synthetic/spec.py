"""What a synthetic set contains: its size, its difficulty, and who shows what."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from jmer.errors import UsageError

CLASS_NAMES = {
    3: ("negative", "positive", "surprise"),
    4: ("disgust", "happiness", "repression", "surprise"),
    5: ("disgust", "happiness", "repression", "surprise", "others"),
}
# Allowed ranges, both ends included.
WHOLE = {
    "subjects": (2, 9999),
    "classes": (3, 5),
    "clips": (6, 1_000_000),
    "length": (4, 10_000),
    "size": (32, 1024),
    "expressions": (0, 100),
    "blinks": (0, 100),
    "head_moves": (0, 100),
    "seed": (0, 2**63 - 1),
}
ROOM = 12
"""Frames that each of several expressions has around it, at least."""
SHARES = ("difficulty", "noise", "imbalance", "identities")


@dataclass(frozen=True)
class SyntheticSpec:
    """Everything that a synthetic set depends on.

    Raises: UsageError naming the field, its value and the allowed range.
    """

    subjects: int = 12
    """Number of faces, at least 2."""
    classes: int = 3
    """3 (negative, positive, surprise), 4 or 5 emotions."""
    clips: int = 120
    """Number of clips in all; at least one per subject and two per class."""
    length: int = 24
    """Frames of a generated clip."""
    size: int = 64
    """Side of a frame in pixels, even."""
    difficulty: float = 0.5
    """0 to 1: weaker motion, confusable action units, atypical clips."""
    noise: float = 0.5
    """0 to 1: sensor noise, flicker, head drift and blinks."""
    imbalance: float = 0.5
    """0 (balanced classes and subjects) to 1."""
    identities: float = 1.0
    """0 (everyone looks the same) to 1: how far faces differ."""
    seed: int = 0
    """Seed of every random draw."""
    expressions: int = 0
    """0: one expression, over most of the clip. 1 or more: so many shorter ones of the
    clip's class, each in its own equal part of the clip, with rest before and after;
    the clip's onset, apex and offset are then those of the first."""
    blinks: int = 0
    """Blinks at random moments of each clip, beside those of `noise`."""
    head_moves: int = 0
    """Quick moves of the head at random moments of each clip, as far as a strong
    expression moves the skin."""

    def __post_init__(self) -> None:
        for name, (low, high) in WHOLE.items():
            value = getattr(self, name)
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise UsageError(
                    f"{name}={value!r}: must be a whole number from {low} to {high}"
                )
        for name in SHARES:
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number)
            if not number or not 0 <= value <= 1:
                raise UsageError(f"{name}={value!r}: must be a number from 0 to 1")
        if self.size % 2:
            raise UsageError(f"size={self.size}: must be even, from 32 to 1024")
        if self.expressions * ROOM > self.length:
            raise UsageError(
                f"expressions={self.expressions}: need length={ROOM} each, "
                f"{self.expressions * ROOM} in all, but length={self.length}"
            )
        least = max(self.subjects, 2 * self.classes)
        if self.clips < least:
            raise UsageError(
                f"clips={self.clips}: must be at least {least}, for one clip per "
                f"subject ({self.subjects}) and two subjects per class "
                f"({self.classes}); ask for more clips or fewer subjects"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels."""
        return CLASS_NAMES[self.classes]


class Slot(NamedTuple):
    """One planned clip: `subject` and `label` are indices."""

    subject: int
    label: int
    clip_id: str


def subject_name(spec: SyntheticSpec, subject: int) -> str:
    """'syn01' for subject 0, with as many digits as the last subject needs."""
    digits = max(2, len(str(spec.subjects)))
    return f"syn{subject + 1:0{digits}d}"


@lru_cache(maxsize=8)
def plan_clips(spec: SyntheticSpec) -> tuple[Slot, ...]:
    """Who shows which class, sorted by subject.

    Every class first goes to two subjects, which together with one clip per
    subject is all that `SyntheticSpec` asks `clips` to hold; the rest follows
    the weights that `imbalance` sets.
    """
    rng = np.random.default_rng([0, spec.seed])
    order = rng.permutation(spec.subjects)
    labels = [c for c in range(spec.classes) for _ in range(2)]
    subjects = [int(order[i % spec.subjects]) for i in range(len(labels))]
    labels += _fill(labels, spec.clips, _weights(rng, spec.classes, spec.imbalance))
    weights = _weights(rng, spec.subjects, spec.imbalance)
    rest = _fill(subjects, spec.clips, weights)
    subjects += rng.permutation(rest).tolist()
    seen: dict[tuple[int, int], int] = {}
    slots = []
    for subject, label in sorted(zip(subjects, labels, strict=True)):
        number = seen[subject, label] = seen.get((subject, label), 0) + 1
        name = subject_name(spec, subject)
        clip_id = f"{name}_{spec.class_names[label]}_{number:02d}"
        slots.append(Slot(subject, label, clip_id))
    return tuple(slots)


def _weights(rng: np.random.Generator, count: int, imbalance: float) -> np.ndarray:
    """Shares that sum to 1: equal at imbalance 0, up to 8 to 1 apart at 1."""
    rank = rng.permutation(count) / (count - 1)
    weights = 8.0 ** (-imbalance * rank)
    return weights / weights.sum()


def _fill(start: list[int], total: int, weights: np.ndarray) -> list[int]:
    """Indices to append to `start` so that all occur, about as often as weighted."""
    counts = np.bincount(start, minlength=len(weights)).astype(float)
    added: list[int] = []
    while len(start) + len(added) < total:
        lack = np.where(counts == 0, np.inf, weights * total - counts)
        pick = int(np.argmax(lack))
        counts[pick] += 1
        added.append(pick)
    return added
