"""A data set in memory."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmer.annotations import Bool, Float, Int, Shaped
from jmer.data.summary import Summary
from jmer.errors import JmerError

COLUMNS = (
    *("subject", "dataset", "clip_id", "onset", "apex", "offset", "action_units"),
    *("frame_rate", "train_only", "session"),
)


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """All clips of a data set, in the order of (dataset, subject, clip).

    `inputs` holds one array [n, ...] for each feature, in its stored type. `label` is
    an index in `classes`, or whether each of them is shown [n, k], where they are
    action units (`jmer.data.action_units`); `onset`, `apex` and `offset` are frame
    indices into the stored clip, -1 where unknown. `subject` names one person in the
    whole set.
    `frame_rate` is that of the recording, in frames a second, 0 where there is none.
    `train_only` marks clips that may train but are never tested, such as
    macro-expressions beside the micro-expressions of a set (default: none is).
    `session` names the sitting of its subject in which a clip was recorded, "" where
    that is not known; the same name of two subjects means two sittings.

    Raises: JmerError if the arrays disagree in length, a value is not finite, a clip
    occurs twice, or two data sets share the name of a subject.
    """

    name: str
    classes: tuple[str, ...]
    inputs: Mapping[str, Shaped[np.ndarray, "n ..."]]
    label: Int[np.ndarray, " n"] | Bool[np.ndarray, "n k"]
    subject: Shaped[np.ndarray, " n"]
    dataset: Shaped[np.ndarray, " n"]
    clip_id: Shaped[np.ndarray, " n"]
    onset: Int[np.ndarray, " n"]
    apex: Int[np.ndarray, " n"]
    offset: Int[np.ndarray, " n"]
    action_units: Shaped[np.ndarray, " n"]
    # None becomes an array at once, and whoever reads it finds one.
    frame_rate: Float[np.ndarray, " n"] = None  # type: ignore[assignment]
    train_only: Bool[np.ndarray, " n"] = None  # type: ignore[assignment]
    session: Shaped[np.ndarray, " n"] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.frame_rate is None:
            object.__setattr__(self, "frame_rate", np.zeros(len(self), np.float32))
        if self.train_only is None:
            object.__setattr__(self, "train_only", np.zeros(len(self), bool))
        if self.session is None:
            object.__setattr__(self, "session", np.full(len(self), ""))
        if not len(self):
            raise JmerError(f"data set {self.name} has no clips; prepare it again.")
        columns = {name: getattr(self, name) for name in COLUMNS}
        for name, array in {**columns, **self.inputs}.items():
            if len(array) != len(self):
                raise JmerError(
                    f"{self.name}: {len(array)} values of {name} for {len(self)} "
                    f"clips. Prepare the set again."
                )
        for name, array in self.inputs.items():
            bad = next((i for i, a in enumerate(array) if not np.isfinite(a).all()), -1)
            if bad >= 0:
                raise JmerError(
                    f"{self.name}: {name} of clip {self.clip_id[bad]} of subject "
                    f"{self.subject[bad]} has a value that is not finite. Remove the "
                    f"clip or repair its source, then prepare the set again."
                )
        if self.train_only.all():
            raise JmerError(f"{self.name}: no clip may be tested. Prepare it again.")
        self._check_labels()
        self._check_names()

    def _check_labels(self) -> None:
        if self.of_units:
            return
        outside = (self.label < 0) | (self.label >= len(self.classes))
        if outside.any():
            bad = int(outside.argmax())
            raise JmerError(
                f"{self.name}: label {self.label[bad]} of clip {self.clip_id[bad]} of "
                f"subject {self.subject[bad]} is no index of {self.classes}. Correct "
                f"it, then prepare the set again."
            )

    def _check_names(self) -> None:
        seen: dict[tuple[str, str], int] = {}
        homes: dict[str, str] = {}
        for i, key in enumerate(zip(self.subject, self.clip_id, strict=True)):
            if key in seen:
                raise JmerError(
                    f"{self.name}: clip {key[1]} of subject {key[0]} occurs twice. "
                    f"Remove one of the two rows, then prepare the set again."
                )
            seen[key] = i
            home = homes.setdefault(self.subject[i], self.dataset[i])
            if home != self.dataset[i]:
                raise JmerError(
                    f"{self.name}: subject {self.subject[i]} occurs in {home} and in "
                    f"{self.dataset[i]}, but a subject names one person. Prefix the "
                    f"names with their data set."
                )

    def __len__(self) -> int:
        return len(self.label)

    @property
    def of_units(self) -> bool:
        """Whether labels are sets of action units."""
        return self.label.ndim == 2

    @property
    def names(self) -> list[tuple[str, ...]]:
        """Data set, subject and clip, which together name each clip."""
        columns = (self.dataset, self.subject, self.clip_id)
        return [tuple(map(str, names)) for names in zip(*columns, strict=True)]

    @property
    def testable(self) -> Int[np.ndarray, " testable"]:
        """Indices of the clips that are not for training alone."""
        return np.flatnonzero(~self.train_only)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all there is to see: names, labels, intervals and pixels."""
        return self.summary()["fingerprint"]

    def summary(self) -> dict[str, Any]:
        """What a run records of its data."""
        summary = Summary(self.name, self.classes)
        columns = {name: getattr(self, name).tolist() for name in ("label", *COLUMNS)}
        if self.of_units:
            columns["label"] = [
                tuple(np.flatnonzero(row).tolist()) for row in self.label
            ]
        for i in range(len(self)):
            summary.add(
                {
                    **{name: column[i] for name, column in columns.items()},
                    **{name: array[i] for name, array in self.inputs.items()},
                }
            )
        return summary.record()
