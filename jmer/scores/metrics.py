"""Scores of micro-expression recognition, all of them read off a confusion matrix.

Everything but `subject_bootstrap` takes NumPy arrays on the host and JAX arrays
inside `jit` alike: the functions ask their argument for its own namespace, and this
module never imports JAX.

UF1 and UAR (as in See et al. 2019, "MEGC 2019") are means over classes with
equal weight. A class without a true sample is left out of both: it has no recall,
and counting it as zero would punish a held-out subject for what was never shown.
A prediction of such a class still costs the true class its recall. An empty matrix
scores 0.

`METRICS` is the one table of them: what a row of it says is all that runs, reports,
comparisons and audits know of a metric, so that another one is one row. Those of action
units are in `jmer.scores.units`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from jmer.annotations import Int, Real


def _namespace(*arrays: Any) -> ModuleType:
    # A host constant beside a traced array must follow the traced one.
    spaces = [array.__array_namespace__() for array in arrays]
    return next((space for space in spaces if space is not np), np)


def confusion_matrix(
    label: Int[Any, "*b n"],
    predicted: Int[Any, "*b n"],
    classes: int,
    weight: Real[Any, "*b n"] | None = None,
) -> Real[Any, "*b k k"]:
    """Weight of the samples by true class (row) and predicted class (column).

    Without `weight` every sample counts 1. A label or prediction outside
    `0 … classes-1` counts nowhere, which is how padding drops out.

    >>> label, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    >>> confusion_matrix(label, predicted, 2)
    array([[1., 1.],
           [1., 2.]])
    """
    arrays = (label, predicted) if weight is None else (label, predicted, weight)
    xp = _namespace(*arrays)
    names = xp.arange(classes)
    true = label[..., None] == names  # n k
    found = predicted[..., None] == names  # n k
    cells = true[..., :, None] & found[..., None, :]  # n k k
    # Summed, not multiplied as matrices: TPUs and GPUs shorten the factors of a
    # matrix product, and with them the weights.
    if weight is None:
        return xp.sum(cells, axis=-3, dtype=float)
    return xp.sum(xp.where(cells, weight[..., None, None], 0), axis=-3, dtype=float)


def _ratio(top: Any, bottom: Any) -> Any:
    """`top / bottom`, and 0 where `bottom` is 0, without a warning or a NaN."""
    xp = _namespace(top, bottom)
    known = bottom > 0
    return xp.where(known, top / xp.where(known, bottom, 1), 0.0)


def _hits(confusion: Any) -> Any:
    return _namespace(confusion).diagonal(confusion, axis1=-2, axis2=-1)


def _mean_of_present(score: Any, confusion: Any) -> Any:
    xp = _namespace(confusion)
    present = confusion.sum(axis=-1) > 0
    total = xp.sum(xp.where(present, score, 0.0), axis=-1)
    return _ratio(total, xp.sum(present, axis=-1, dtype=total.dtype))


def class_recall(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b k"]:
    """Share of each true class that was recognised; 0 for a class without samples."""
    return _ratio(_hits(confusion), confusion.sum(axis=-1))


def class_precision(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b k"]:
    """Share of the predictions of each class that are true; 0 without predictions."""
    return _ratio(_hits(confusion), confusion.sum(axis=-2))


def class_f1(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b k"]:
    """2 TP / (2 TP + FP + FN) of each class; 0 where that is 0/0."""
    both = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return _ratio(2 * _hits(confusion), both)


def accuracy(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b"]:
    """Share of samples on the diagonal, in [0, 1]; 0 for an empty matrix."""
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def uf1(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b"]:
    """Unweighted F1: mean of `class_f1` over the classes with a true sample, 0 to 1.

    Of pooled predictions: it is no mean over folds.

    >>> one, other = np.array([[2, 0], [0, 1]]), np.array([[0, 1], [1, 1]])
    >>> float(uf1(one)), float(uf1(other)), round(float(uf1(one + other)), 3)
    (1.0, 0.25, 0.667)
    """
    return _mean_of_present(class_f1(confusion), confusion)


def uar(confusion: Real[Any, "*b k k"]) -> Real[Any, "*b"]:
    """Unweighted average recall over the classes with a true sample, 0 to 1.

    A class that nobody showed is left out:

    >>> float(uar(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])))
    0.875
    """
    return _mean_of_present(class_recall(confusion), confusion)


@dataclass(frozen=True)
class Quantity:
    """A number that is printed of predictions, from `low` to `high`."""

    name: str
    """In files and on the command line."""
    label: str
    """As people read it."""
    what: str
    """What it is, in a sentence."""
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Metric(Quantity):
    """One that is read off confusion matrices, with which it is called."""

    of: Callable[[Any], Any]
    """From [*b, k, k] to [*b], or to [*b, k] if each class has its own."""
    mean_of: str = ""
    """Which of `CLASS_METRICS` it is the mean of, over the classes with a true sample;
    empty if it is no mean over classes."""
    headline: bool = False
    """Whether reports show it before the others, with its interval and oracle."""

    def __call__(self, confusion: Real[Any, "*b k k"]) -> Any:
        return self.of(confusion)

    @property
    def over_folds(self) -> str:
        """The name of its mean over folds, which is another number than it."""
        return self.mean_of or self.name


def by_name(*rows: Metric) -> dict[str, Metric]:
    """A table of metrics."""
    return {row.name: row for row in rows}


CLASS_METRICS = by_name(
    Metric("f1", "F1", "Harmonic mean of recall and precision.", of=class_f1),
    Metric("recall", "Recall", "Share of a class that was found.", of=class_recall),
    Metric(
        "precision",
        "Precision",
        "Share of the predictions of a class that are true.",
        of=class_precision,
    ),
)
"""What is said of each class."""

METRICS = by_name(
    Metric("acc", "ACC", "Share of the clips that are right.", of=accuracy),
    Metric(
        "uf1",
        "UF1",
        "Mean of F1 over the classes, each with equal weight.",
        of=uf1,
        mean_of="f1",
        headline=True,
    ),
    Metric(
        "uar",
        "UAR",
        "Mean of recall over the classes, each with equal weight.",
        of=uar,
        mean_of="recall",
        headline=True,
    ),
)
"""What is said of all clips, in the order of files."""


Metrics = Mapping[str, Metric]
"""Metrics by name, as `METRICS` is."""


def reported(metrics: Metrics = METRICS) -> dict[str, Metric]:
    """`metrics` in the order of reports: the headline first."""
    return by_name(*sorted(metrics.values(), key=lambda metric: not metric.headline))


def headlines(metrics: Metrics = METRICS) -> list[Metric]:
    """Those that stand for a result where there is room for little; the first of them
    alone where there is room for one."""
    return [metric for metric in metrics.values() if metric.headline]


def label_of(name: str) -> str:
    """How people call a metric of all clips or of a class."""
    return (METRICS | CLASS_METRICS)[name].label


def seed_mean(
    metric: Callable[[Any], Any], confusion: Real[Any, "*b s k k"]
) -> Real[Any, "*b"]:
    """Mean of `metric` over the seeds (axis -3), seeds without a sample left out."""
    xp = _namespace(confusion)
    score = metric(confusion)
    used = confusion.sum(axis=(-2, -1)) > 0
    total = xp.sum(xp.where(used, score, 0.0), axis=-1)
    return _ratio(total, xp.sum(used, axis=-1, dtype=total.dtype))


def drawn_subjects(
    subjects: int, samples: int, generator: np.random.Generator
) -> Real[np.ndarray, "d m"]:
    """How often each of m subjects comes up when m are drawn with replacement.

    In float64: counts are exact in it, and it takes the BLAS path that integers do not
    have.
    """
    evenly = np.full(subjects, 1 / subjects)
    return generator.multinomial(subjects, evenly, size=samples).astype(float)


def subject_bootstrap(
    confusions: Real[np.ndarray, "s m k k"],
    *,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    metrics: Mapping[str, Callable[[Any], Any]] = METRICS,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of all `metrics` under a new draw of subjects.

    `confusions` holds one matrix per seed (s) and subject (m). Clips of one person
    resemble one another, so people are drawn with replacement, not clips; the
    matrices of a draw are pooled, each seed is scored, and the seeds are averaged
    (percentile interval: Efron and Tibshirani 1993, chapter 13). With few subjects such
    intervals are too narrow; with one they have no width.

    Raises: ValueError without subjects, or if `samples` or `level` make no sense.
    """
    subjects = confusions.shape[1]
    if not subjects or samples < 1 or not 0 < level < 1:
        raise ValueError(f"no bootstrap of {subjects=} with {samples=}, {level=}")
    drawn = drawn_subjects(subjects, samples, np.random.default_rng(seed))
    pooled = np.tensordot(drawn, confusions.astype(float), (1, 1))
    tail = (1 - level) / 2
    return {
        name: tuple(np.quantile(seed_mean(metric, pooled), (tail, 1 - tail)).tolist())
        for name, metric in metrics.items()
    }
