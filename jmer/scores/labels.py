"""The two kinds of labels: one class of several, or which action units are shown.

A label is an index of a class [n], or a truth for each unit [n, k]; the number of axes
tells. `KINDS` says for both what an answer is, how it is counted, and by which metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jmer.annotations import Bool, Float, Int, Real
from jmer.errors import JmerError
from jmer.scores.metrics import (
    CLASS_METRICS,
    METRICS,
    Metric,
    Metrics,
    confusion_matrix,
    headlines,
    reported,
    uf1,
)
from jmer.scores.units import (
    EACH_UNIT,
    NOBODY,
    OUTCOMES,
    UNIT_METRICS,
    unit_counts,
)

Label = Int[Any, "*b n"] | Bool[Any, "*b n k"]

JOINED = "+"
"""Between the units of a clip, in files."""


@dataclass(frozen=True, eq=False)
class LabelKind:
    """What labels of one kind are, and what is made of them."""

    name: str
    """In `metrics.json`."""
    one: str
    """What a report calls one of k names."""
    many: str
    metrics: Metrics
    """Of all clips."""
    each: Metrics
    """Of each class or unit; `f1` among them."""
    goal: Callable[[Any], Any]
    """Which of them chooses an epoch on inner clips; the higher the better."""
    best: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """What the oracle chooses an epoch of a fold by, of labels [n, ...] and answers
    [e, n, ...]: how many clips are right, or the mean F1."""
    answer: Callable[[Any], Any]
    """Answers of logits [..., n, k]."""
    pick: Callable[[np.ndarray], np.ndarray]
    """Answers of probabilities [..., n, k], such as means over trainings."""
    shares: Callable[[np.ndarray], np.ndarray]
    """Probabilities of logits, on the host."""
    _table: Callable[..., Any]
    extra: int
    """Axes of a label behind that of clips."""

    def counts(
        self,
        label: Label,
        answer: Label,
        k: int,
        weight: Real[Any, "*b n"] | None = None,
    ) -> Real[Any, "*b k m"]:
        """Weight of the clips by what is true and what was answered: a confusion
        matrix of k classes, or four counts of each of k units."""
        return self._table(label, answer, k, weight)

    def zeros(self, k: int, *axes: int) -> Int[np.ndarray, "*b k m"]:
        """Counts of nothing."""
        return np.zeros((*axes, k, k if self.extra == 0 else OUTCOMES), np.int64)

    def by(
        self, axes: Sequence[tuple[np.ndarray, int]], label: Any, answer: Any, k: int
    ) -> Int[np.ndarray, "*b k m"]:
        """Counts by more than classes: `axes` has the place [n] of each row on each of
        them, and their lengths."""
        table = self.zeros(k, *(size for _, size in axes))
        places = tuple(place for place, _ in axes)
        if self.extra == 0:
            np.add.at(table, (*places, label, answer), 1)
            return table
        outcome = 2 * label.astype(int) + answer  # as the counts lie
        unit = np.broadcast_to(np.arange(k), outcome.shape)
        wide = (np.broadcast_to(p[:, None], outcome.shape) for p in places)
        np.add.at(table, (*wide, unit, outcome), 1)
        return table

    def clips(self, counts: Real[Any, "*b k m"]) -> Real[Any, "*b"]:
        """How many clips were counted."""
        total = counts.sum(axis=(-2, -1))
        return total if self.extra == 0 else total / counts.shape[-2]

    def texts(self, label: Label, names: Sequence[str]) -> list[str]:
        """Labels [n] in words, which `label_of` reads again."""
        if self.extra == 0:
            return [str(names[i]) for i in label.tolist()]
        every = np.array(names, dtype=object)
        return [JOINED.join(every[row]) or NOBODY for row in label]

    def label_of(self, text: str, names: Sequence[str]) -> Any:
        """Of words: a whole number, or truths [k].

        Raises: ValueError if they are none of `names`.
        """
        if self.extra == 0:
            return names.index(text)
        units = [] if text == NOBODY else text.split(JOINED)
        if len(set(units)) < len(units):
            raise ValueError(f"{text} names a unit twice")
        places = [names.index(unit) for unit in units]
        shown = np.zeros(len(names), bool)
        shown[places] = True
        return shown

    @property
    def reported(self) -> Mapping[str, Metric]:
        """The metrics in the order of reports."""
        return reported(self.metrics)

    def label_of_score(self, name: str) -> str:
        """How people call a metric of all clips or of a class or unit."""
        return ({**self.each, **self.metrics})[name].label

    @property
    def headlines(self) -> list[Metric]:
        """Those that stand for a result."""
        return headlines(self.metrics)


def _softmax(logits: Float[np.ndarray, "*b k"]) -> Float[np.ndarray, "*b k"]:
    from scipy.special import softmax  # which lists and help do without

    return softmax(logits.astype(np.float64), -1).astype(np.float32)


def _sigmoid(logits: Float[np.ndarray, "*b k"]) -> Float[np.ndarray, "*b k"]:
    from scipy.special import expit

    return expit(logits.astype(np.float64)).astype(np.float32)


def _units(label: Any, answer: Any, k: int, weight: Any = None) -> Any:
    del k
    return unit_counts(label, answer, weight)


CLASSES = LabelKind(
    name="classes",
    one="class",
    many="classes",
    metrics=METRICS,
    each=CLASS_METRICS,
    goal=uf1,
    best=lambda label, answer: (answer == label).sum(1),
    answer=lambda logits: logits.argmax(-1),
    pick=lambda shares: shares.argmax(-1),
    shares=_softmax,
    _table=confusion_matrix,
    extra=0,
)
"""One class of several, the one with the highest logit."""

UNITS = LabelKind(
    name="action units",
    one="action unit",
    many="action units",
    metrics=UNIT_METRICS,
    each=EACH_UNIT,
    goal=UNIT_METRICS["f1"],
    best=lambda label, answer: UNIT_METRICS["f1"](
        unit_counts(np.broadcast_to(label, answer.shape), answer)
    ),
    answer=lambda logits: logits > 0,
    pick=lambda shares: shares > 0.5,
    shares=_sigmoid,
    _table=_units,
    extra=1,
)
"""Any of several action units: those whose logit is above 0, or whose mean probability
is above one half."""

KINDS = {kind.name: kind for kind in (CLASSES, UNITS)}


def every_metric() -> dict[str, Metric]:
    """The metrics of all clips, of both kinds; what both have is called the same."""
    return {**UNITS.metrics, **CLASSES.metrics}


def every_label(score: str) -> str:
    """How people call a metric of all clips, of a class or of a unit."""
    known = {**UNITS.each, **CLASSES.each, **every_metric()}
    return known[score].label


def kind_of(label: Any, behind: int = 1) -> LabelKind:
    """The kind of labels [n] or [n, k], with so many axes as clips have."""
    return UNITS if label.ndim > behind else CLASSES


def kind_in(metrics: Mapping[str, Any]) -> LabelKind:
    """The kind of labels of a run, as its `metrics.json` says; of older ones classes.

    Raises: JmerError for a kind that this version does not know.
    """
    name = metrics.get("labels", CLASSES.name)
    if name not in KINDS:
        raise JmerError(
            f"labels {name!r} are none of {', '.join(KINDS)}: the run was edited, or "
            f"written by another version of jmer."
        )
    return KINDS[name]


def require_classes(what: str, kind: LabelKind) -> None:
    """Raises: JmerError if labels are sets of action units, where `what` needs one
    class of each clip."""
    if kind is not CLASSES:
        raise JmerError(
            f"{what} needs one class of each clip, and this run was trained on sets of "
            f"action units. Take a run of the same experiment that was trained without "
            f"--extract.action-units."
        )
