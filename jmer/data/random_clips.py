"""Clips of random numbers, for benchmarks: no data set, no download."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.errors import Needs, UsageError

CLASSES = ("negative", "positive", "surprise")


@dataclass(frozen=True)
class RandomClips(DataConfig):
    """Standard normal features (uniform ones if `dtype` is an integer) and labels."""

    name: ClassVar[str] = "random"

    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Name and shape of each feature of a clip."""
    subjects: int = 8
    """How many subjects there are."""
    per_subject: int = 16
    """Clips of each subject."""
    sizes: tuple[int, ...] = ()
    """Clips of each subject, where they differ; the two fields above then say nothing.
    """
    classes: tuple[str, ...] = CLASSES
    """Labels."""
    dtype: str = "float32"
    """Type of the features."""

    def __post_init__(self) -> None:
        if min(self.sizes or (self.subjects, self.per_subject)) < 1:
            raise UsageError(
                f"data.subjects={self.subjects}, data.per-subject={self.per_subject} "
                f"and data.sizes={self.sizes} must be positive"
            )
        sides = [side for _, shape in self.shapes for side in shape]
        if not self.classes or min(sides, default=1) < 1:
            raise UsageError(
                f"data.shapes={self.shapes} and data.classes={self.classes} must have "
                f"positive sides, and a class"
            )
        try:
            known = np.dtype(self.dtype).kind in "iuf"
        except TypeError:
            known = False
        if not known:
            raise UsageError(f"data.dtype={self.dtype} must be a type of numbers")

    @property
    def needs(self) -> Needs:
        alike = {"sizes": ()} if self.sizes else {}
        return {"subjects": alike, "per_subject": alike}

    @property
    def bytes(self) -> float:
        """How much memory its features take, as they are drawn."""
        clips = sum(self.sizes) if self.sizes else self.subjects * self.per_subject
        each = sum(float(np.prod(shape, dtype=float)) for _, shape in self.shapes)
        # Beside the features there are names and numbers.
        return clips * (each * max(4, np.dtype(self.dtype).itemsize) + 500)

    def clips(self) -> ClipSet:
        """The same numbers at every call."""
        return self._clips(self._draw)

    def empty(self) -> ClipSet:
        """The same without a feature's numbers: zeros that take no memory, where
        nothing but shapes counts."""
        zero = np.zeros((), self.dtype)
        return self._clips(lambda rng, shape: np.broadcast_to(zero, shape))

    def _clips(
        self, feature: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    ) -> ClipSet:
        rng = np.random.default_rng(0)
        sizes = self.sizes or (self.per_subject,) * self.subjects
        n = sum(sizes)
        subject = np.repeat([f"s{i:03d}" for i in range(len(sizes))], sizes)
        unknown = np.full(n, -1, np.int32)
        return ClipSet(
            name=self.name,
            classes=self.classes,
            inputs={name: feature(rng, (n, *shape)) for name, shape in self.shapes},
            label=rng.permutation(np.arange(n) % len(self.classes)).astype(np.int32),
            subject=subject,
            dataset=np.full(n, self.name),
            clip_id=np.array([f"clip{i:05d}" for i in range(n)]),
            onset=unknown,
            apex=unknown,
            offset=unknown,
            action_units=np.full(n, ""),
        )

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        return rng.standard_normal(shape, np.float32).astype(dtype)
