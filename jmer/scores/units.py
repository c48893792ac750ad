"""Scores of action units: of each clip, which units are shown, and which were found.

The counts of a unit are four, in the order (neither shown nor found, found alone,
shown alone, both): what a confusion matrix is to classes, [*b, k, 4] of k units is
here, so that sums over people, folds and seeds, intervals and comparisons are the same.
As those of `jmer.scores.metrics`, all of it takes NumPy arrays and traced ones alike.

F1 of a unit is binary, of the clips that show it, and 0 where nobody shows or finds it:
a unit without a positive counts in a mean as 0, and is not left out as a class is. So
count Varanka et al. 2023, "Data leakage and evaluation issues in micro-expression
analysis". Scores pool the predictions of all folds first.
"""

from typing import Any

from jmer.annotations import Bool, Real
from jmer.scores.metrics import Metric, _namespace, _ratio, by_name

OUTCOMES = 4
"""Counts of a unit."""
NOBODY = "none"
"""In files, a clip that shows none of the units."""


def unit_counts(
    shown: Bool[Any, "*b n k"],
    found: Bool[Any, "*b n k"],
    weight: Real[Any, "*b n"] | None = None,
) -> Real[Any, "*b k 4"]:
    """Weight of the samples by what is so of each unit; 1 each without `weight`."""
    xp = _namespace(shown, found)
    kinds = xp.stack([~shown & ~found, ~shown & found, shown & ~found, shown & found])
    if weight is not None:
        kinds = xp.where(kinds, weight[..., None], 0)
    return xp.moveaxis(xp.sum(kinds, axis=-2, dtype=float), 0, -1)


def unit_f1(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """2 TP / (2 TP + FP + FN) of each unit; 0 where that is 0/0.

    >>> import numpy as np
    >>> unit_f1(np.array([[5, 1, 1, 3], [9, 1, 0, 0], [10, 0, 0, 0]]))
    array([0.75, 0.  , 0.  ])
    """
    both = 2 * counts[..., 3]
    return _ratio(both, both + counts[..., 1] + counts[..., 2])


def unit_f1_of_absent(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """F1 of each unit's absence: as `unit_f1`, with shown and not shown swapped."""
    return unit_f1(counts[..., ::-1])


def unit_macro(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """Mean of the F1 of each unit and of that of its absence."""
    return (unit_f1(counts) + unit_f1_of_absent(counts)) / 2


def unit_accuracy(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """Share of the clips in which each unit is right, shown or not."""
    return _ratio(counts[..., 0] + counts[..., 3], counts.sum(-1))


def unit_recall(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """Share of the clips that show each unit in which it is found; 0 without one."""
    return _ratio(counts[..., 3], counts[..., 2] + counts[..., 3])


def unit_precision(counts: Real[Any, "*b k 4"]) -> Real[Any, "*b k"]:
    """Share of the clips in which each unit is found that show it; 0 without one."""
    return _ratio(counts[..., 3], counts[..., 1] + counts[..., 3])


def _f1(counts: Any) -> Any:
    return unit_f1(counts).mean(-1)


def _macro(counts: Any) -> Any:
    return unit_macro(counts).mean(-1)


def _micro(counts: Any) -> Any:
    return unit_f1(counts.sum(-2))


def _accuracy(counts: Any) -> Any:
    return unit_accuracy(counts).mean(-1)


UNIT_METRICS = by_name(
    Metric(
        "f1",
        "F1",
        "Mean over action units of the binary F1 of each.",
        of=_f1,
        mean_of="f1",
        headline=True,
    ),
    Metric(
        "f1_macro",
        "F1 macro",
        "Mean over action units of the mean of two F1: of the unit, and of its "
        "absence.",
        of=_macro,
        mean_of="f1_macro",
    ),
    Metric(
        "f1_micro",
        "F1 micro",
        "F1 of all units of all clips, counted as if they were one unit.",
        of=_micro,
    ),
    Metric(
        "acc",
        "ACC",
        "Share of the units of all clips that are right, shown or not; high wherever "
        "units are rare.",
        of=_accuracy,
        mean_of="acc",
    ),
)
"""What is said of all clips, in the order of files."""

EACH_UNIT = by_name(
    Metric("f1", "F1", "Harmonic mean of recall and precision.", of=unit_f1),
    Metric(
        "recall", "Recall", "Share of the clips that show it found.", of=unit_recall
    ),
    Metric(
        "precision",
        "Precision",
        "Share of the clips that it was found in that show it.",
        of=unit_precision,
    ),
    Metric(
        "f1_macro",
        "F1 macro",
        "Mean of the F1 of the unit and of that of its absence.",
        of=unit_macro,
    ),
    Metric("acc", "ACC", "Share of the clips that are right in it.", of=unit_accuracy),
)
"""What is said of each unit."""


def constant_one(positives: Real[Any, " k"], clips: int) -> Real[Any, "k 4"]:
    """The counts of always answering that every unit is shown, which all must beat.

    Its F1 is 2p / (1 + p) of a unit that the share p of the clips shows.

    >>> import numpy as np
    >>> unit_f1(constant_one(np.array([25, 100]), 100))
    array([0.4, 1. ])
    """
    xp = _namespace(positives)
    none = xp.zeros_like(positives)
    return xp.stack([none, clips - positives, none, positives], axis=-1)
