"""What a run records of its data, clip by clip: sets may be larger than memory."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jmer.text import counted


def population(
    clips: int, subjects: int, per_class: Mapping[str, int] | None = None
) -> str:
    """How many clips there are, of how many people, and how many of each class.

    >>> population(3, 1, {"happy": 1, "sad": 2})
    '3 clips, 1 subject (1 happy, 2 sad)'
    """
    classes = ", ".join(f"{n} {name}" for name, n in (per_class or {}).items())
    text = f"{counted(clips, 'clip')}, {counted(subjects, 'subject')}"
    return f"{text} ({classes})" if classes else text


class Summary:
    """Counts the clips of a set and hashes all there is to see of them: names, labels,
    intervals and pixels, in whatever order they come.
    """

    def __init__(self, name: str, classes: Sequence[str]):
        self._name, self._classes = name, tuple(classes)
        self._digests: dict[tuple[str, str, str], bytes] = {}
        self._labels, self._subjects = Counter[int](), set[str]()
        self._clips = self._train_only = 0

    def add(self, clip: Mapping[str, Any]) -> None:
        """One clip: the columns of `ClipSet` as plain values, inputs as arrays."""
        digest = hashlib.sha256()
        for name in sorted(clip):
            value = clip[name]
            if name == "session" and not value:
                continue  # as sets were hashed that knew of none
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value)
                digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
                digest.update(value.data)
            else:
                digest.update(f"{name} {value!r}\n".encode())
        key = clip["dataset"], clip["subject"], clip["clip_id"]
        self._digests[key] = digest.digest()
        self._clips += 1
        label = clip["label"]
        self._labels.update(label if isinstance(label, tuple) else (label,))
        self._subjects.add(clip["subject"])
        self._train_only += clip["train_only"]

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(repr(self._classes).encode())
        for key in sorted(self._digests):
            digest.update(self._digests[key])
        return digest.hexdigest()[:16]

    def record(self) -> dict[str, Any]:
        extra = {"n_train_only": self._train_only} if self._train_only else {}
        return {
            "name": self._name,
            "fingerprint": self.fingerprint,
            "n_clips": self._clips,
            **extra,
            "n_subjects": len(self._subjects),
            "classes": list(self._classes),
            "per_class": {c: self._labels[i] for i, c in enumerate(self._classes)},
        }
