"""Two methods on the same clips: how far apart they are, and whether that is chance.

Subjects are drawn and swapped whole, with all their clips and seeds: one person's clips
resemble one another, and only people are independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jmer.annotations import Float, Real
from jmer.errors import JmerError, UsageError
from jmer.scores.labels import CLASSES, JOINED, LabelKind, every_label
from jmer.scores.metrics import drawn_subjects
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import Answer, Counts, count
from jmer.scores.units import NOBODY
from jmer.text import counted

NAMED_CLIPS = 3
TIE = 1e-9
"""Differences closer than this are the same: sums in another order round otherwise."""


@dataclass(frozen=True, repr=False)
class Difference:
    """A score of the second method minus that of the first."""

    score: str
    """Name of a metric; `f1` of a class or an action unit."""
    value: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p: float
    """Share of swaps that give a difference at least as large, either way."""
    subjects: int
    """People it rests on."""
    error: float = math.nan
    """Standard deviation over the draws of subjects."""

    def __repr__(self) -> str:
        return (
            f"{every_label(self.score)} {self.value:+.4f} [{self.low:+.3f}, "
            f"{self.high:+.3f}], p {self.p:.4f}, {counted(self.subjects, 'subject')}"
        )


@dataclass(frozen=True, repr=False)
class Paired:
    """All differences between two methods, the second minus the first."""

    clips: int
    overall: dict[str, Difference]
    """By name of the metric."""
    per_class: dict[str, Difference]
    """F1, by class or action unit; those without a clip are left out."""
    per_dataset: dict[str, dict[str, Difference]]
    """By data set, then score."""
    apart: tuple[str, ...] = ()
    """In what the runs differ, a line each, where it is known; what makes their
    comparison unfair first."""

    def __repr__(self) -> str:
        lines = [f"they differ in {line}" for line in self.apart]
        lines += [f"second minus first on {self.clips} clips"]
        lines += [f"  {found}" for found in self.overall.values()]
        lines += [f"  {name}: {found}" for name, found in self.per_class.items()]
        lines += [
            f"  {name}: {found}"
            for name, scores in self.per_dataset.items()
            for found in scores.values()
        ]
        return "\n".join(lines)


def paired(
    a: Predictions, b: Predictions, *, draws: int = 2000, seed: int = 0
) -> Paired:
    """Differences b − a of all metrics, of F1 by class, and by data set.

    Intervals are percentiles over draws of subjects, the same for both methods (Efron
    and Tibshirani 1993, chapter 13). p comes from swapping the two methods' predictions
    of subjects at random: over all 2^subjects ways if these are no more than `draws`,
    else over that many, counting the one observed (Phipson and Smyth 2010).
    Scores pool the folds of a seed and average over seeds. Seeds are matched in
    ascending order; if one method has fewer, its seeds are repeated as often as it
    takes, which leaves its scores as they are.

    Raises: JmerError if clips or labels differ, naming the first, if one has classes
    and the other sets of action units, or other units, if a seed lacks clips, or if
    `count` refuses one of the two.
    """
    if draws < 1:
        raise UsageError(f"{draws=} must be positive")
    _require_one_kind(a, b)
    if a.kind is not CLASSES:
        b = b.in_order(a.classes)
    kind, classes = a.kind, tuple(dict.fromkeys((*a.classes, *b.classes)))
    first, second = _count(a, classes), _count(b, classes)
    _check_alike(first, second, classes)
    times = math.lcm(len(first.seeds), len(second.seeds))
    one, other = (
        np.resize(counts.confusion, (times, *counts.confusion.shape[1:]))
        for counts in (first, second)
    )
    whole = _differences(kind, one, other, draws, seed)
    datasets = [dataset for dataset, _ in first.subjects]
    per_dataset = {}
    for name in dict.fromkeys(datasets):
        own = [i for i, dataset in enumerate(datasets) if dataset == name]
        found = _differences(kind, one[:, own], other[:, own], draws, seed)
        per_dataset[name] = _by_score(kind, found)
    present = sorted({i for label in first.labels.values() for i in _places(label)})
    by_class = whole[len(kind.metrics) :]
    return Paired(
        clips=len(first.labels),
        overall=_by_score(kind, whole),
        per_class={classes[i]: by_class[i] for i in present},
        per_dataset=per_dataset,
    )


def _require_one_kind(a: Predictions, b: Predictions) -> None:
    if a.kind is not b.kind:
        raise JmerError(
            f"the first has labels that are {a.kind.name}, and the second "
            f"{b.kind.name}: they have no score in common."
        )
    if a.kind is not CLASSES and {*a.classes} != {*b.classes}:
        raise JmerError(
            f"the first has the action units {', '.join(a.classes)}, and the second "
            f"{', '.join(b.classes)}: their means are of other units."
        )


def _places(label: Answer) -> tuple[int, ...]:
    """The class of a clip, or its units."""
    return label if isinstance(label, tuple) else (label,)


def _by_score(kind: LabelKind, found: Sequence[Difference]) -> dict[str, Difference]:
    return dict(zip(kind.metrics, found, strict=False))


def _count(p: Predictions, classes: tuple[str, ...]) -> Counts:
    """`count`, with labels as indices in `classes`, which hold all those of `p`."""
    counts = count(p)
    if p.kind is not CLASSES:  # the same units in the same order
        return counts
    place = np.array([classes.index(name) for name in p.classes])
    k = len(classes)
    confusion = np.zeros((*counts.confusion.shape[:2], k, k))
    confusion[..., place[:, None], place] = counts.confusion
    labels: dict[tuple[str, str, str], Answer] = {
        clip: int(place[i])
        for clip, label in counts.labels.items()
        for i in _places(label)
    }
    return replace(counts, labels=labels, confusion=confusion)


def _check_alike(first: Counts, second: Counts, classes: tuple[str, ...]) -> None:
    both = first.labels, second.labels
    for one, other, which in ((*both, "first"), (*both[::-1], "second")):
        if only := sorted(set(one) - set(other)):
            raise JmerError(
                f"not the same clips were tested: only the {which} has {_named(only)}."
            )
    wrong = sorted(key for key, i in both[0].items() if both[1][key] != i)
    if wrong:
        names = " and ".join(_named_label(m[wrong[0]], classes) for m in both)
        raise JmerError(
            f"clips have other labels: {_named(wrong)}. The first of them is {names}."
        )
    for counts, which in ((first, "first"), (second, "second")):
        each = counts.kind.clips(counts.confusion).sum(1)
        for seed, n in zip(counts.seeds, each, strict=True):
            if n < len(counts.labels):
                raise JmerError(
                    f"seed {seed} of the {which} has {int(n)} of {len(counts.labels)} "
                    f"clips: a task diverged, or is missing."
                )


def _named(clips: list[tuple[str, str, str]]) -> str:
    """The first of some clips in words, and how many more there are."""
    named = "; ".join(
        f"{clip!r} of subject {subject!r} in {dataset!r}"
        for dataset, subject, clip in clips[:NAMED_CLIPS]
    )
    more = len(clips) - NAMED_CLIPS
    return f"{named}; and {more} more" if more > 0 else named


def _named_label(label: Answer, classes: Sequence[str]) -> str:
    return repr(JOINED.join(classes[i] for i in _places(label)) or NOBODY)


def _scores(
    kind: LabelKind, confusion: Real[np.ndarray, "*b s k m"]
) -> Float[np.ndarray, "*b q"]:
    """The metrics, then F1 of each class (NaN without a clip) or unit, averaged over
    seeds."""
    whole = np.stack([metric(confusion) for metric in kind.metrics.values()], axis=-1)
    f1 = kind.each["f1"](confusion)
    f1 = np.where(confusion.sum(axis=-1) > 0, f1, np.nan)
    return np.concatenate([whole, f1], axis=-1).mean(axis=-2)


def _differences(
    kind: LabelKind,
    a: Float[np.ndarray, "s m k k"],
    b: Float[np.ndarray, "s m k k"],
    draws: int,
    seed: int,
) -> list[Difference]:
    subjects = a.shape[1]
    generator = np.random.default_rng(seed)
    value = _scores(kind, b.sum(axis=1)) - _scores(kind, a.sum(axis=1))  # q
    drawn = drawn_subjects(subjects, draws, generator)
    pooled = [np.tensordot(drawn, table, (1, 1)) for table in (a, b)]
    again = _scores(kind, pooled[1]) - _scores(kind, pooled[0])  # draws q
    # Draws without a clip of a class say nothing of it; a class without any clip has
    # no difference at all, and is never asked for.
    known = ~np.isnan(value)
    low, high = np.full((2, len(value)), np.nan)
    low[known], high[known] = np.nanquantile(again[:, known], (0.025, 0.975), axis=0)
    error = np.full(len(value), np.nan)
    error[known] = np.nanstd(again[:, known], axis=0)
    p = _p_values(kind, a, b, value, draws, generator)
    names = (*kind.metrics, *["f1"] * a.shape[-2])
    columns = (names, *(x.tolist() for x in (value, low, high, p, error)))
    return [
        Difference(score, middle, start, end, share, subjects, spread)
        for score, middle, start, end, share, spread in zip(*columns, strict=True)
    ]


def _p_values(
    kind: LabelKind,
    a: np.ndarray,
    b: np.ndarray,
    value: Float[np.ndarray, " q"],
    draws: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, " q"]:
    subjects = a.shape[1]
    exact = 2**subjects <= draws
    if exact:
        swapped = np.arange(2**subjects)[:, None] >> np.arange(subjects) & 1
    else:
        swapped = generator.integers(0, 2, (draws, subjects))
    moved = np.tensordot(swapped.astype(float), b - a, (1, 1))  # draws s k k
    found = _scores(kind, b.sum(axis=1) - moved) - _scores(kind, a.sum(axis=1) + moved)
    as_large = (np.abs(found) >= np.abs(value) - TIE).sum(axis=0)
    if exact:  # the swap of nobody, which is what was observed, is among them
        return as_large / len(swapped)
    return (as_large + 1) / (draws + 1)


def holm(p: Sequence[float]) -> Float[np.ndarray, " n"]:
    """p-values of n tests, corrected so that all n may be looked at. Holm 1979.

    >>> holm([0.04, 0.01, 0.03])
    array([0.06, 0.03, 0.06])
    """
    found = np.asarray(p, float)
    order = np.argsort(found)
    steps = found[order] * np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def benjamini_hochberg(p: Sequence[float]) -> Float[np.ndarray, " n"]:
    """p-values of n tests, corrected so that of those that are called significant no
    more than that share is so by chance, on average. Benjamini and Hochberg 1995.

    >>> benjamini_hochberg([0.04, 0.01, 0.03])
    array([0.04, 0.03, 0.04])
    """
    found = np.asarray(p, float)
    order = np.argsort(found)[::-1]
    steps = found[order] * len(found) / np.arange(len(found), 0, -1)
    corrected = np.empty_like(found)
    corrected[order] = np.minimum(np.minimum.accumulate(steps), 1)
    return corrected
