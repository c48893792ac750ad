"""The scores that are reported for predictions."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.scores.labels import CLASSES, UNITS, LabelKind, kind_of
from jmer.scores.metrics import seed_mean, subject_bootstrap
from jmer.scores.predictions import Predictions
from jmer.scores.units import unit_f1

Answer = int | tuple[int, ...]


def _groups(*columns: np.ndarray) -> tuple[list[tuple], np.ndarray]:
    """Sorted distinct rows of `columns`, and the position of every row in them [n]."""
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    keys = sorted(set(rows))
    position = {key: i for i, key in enumerate(keys)}
    return keys, np.array([position[row] for row in rows])


def _check_countable(p: Predictions) -> None:
    variants = np.unique(p.variant).tolist()
    if len(variants) != 1:
        raise JmerError(
            f"predictions of {len(variants)} variants {variants} cannot be scored as "
            f"one: select one, as in `predictions.select(variant=0)`."
        )
    keys = zip(p.dataset, p.subject, p.clip, p.seed, strict=True)
    (key, times), *_ = Counter(keys).most_common(1)
    if times > 1:
        dataset, subject, clip, seed = map(str, key)
        raise JmerError(
            f"clip {clip!r} of subject {subject!r} in {dataset!r} is predicted "
            f"{times} times with seed {seed}, variant {variants[0]}. A clip is tested "
            f"once: check the folds, and remove or repeat the run."
        )


def _scores(kind: LabelKind, confusion: np.ndarray) -> dict[str, float]:
    """The metrics of `confusion` [seeds, k, m], averaged over seeds."""
    metrics = kind.metrics.items()
    return {name: float(seed_mean(metric, confusion)) for name, metric in metrics}


def _per_class(
    kind: LabelKind, classes: tuple[str, ...], confusion: np.ndarray, counts: np.ndarray
) -> dict[str, dict]:
    """Means over seeds; None for a class without a clip, which no score counts. A unit
    without one counts, as 0."""
    values = {n: part(confusion).mean(axis=0) for n, part in kind.each.items()}
    counted = (counts > 0) | (kind is UNITS)
    return {
        name: {"n": int(counts[i])}
        | {part: float(v[i]) if counted[i] else None for part, v in values.items()}
        for i, name in enumerate(classes)
    }


@dataclass(frozen=True, eq=False)
class Counts:
    """What scores are made of: who tested what, and what came of it."""

    seeds: list[int]
    subjects: list[tuple[str, str]]
    """(data set, subject)."""
    labels: dict[tuple[str, str, str], Answer]
    """The class of each clip, or the places of the units it shows, by (data set,
    subject, clip)."""
    confusion: np.ndarray
    """Clips of each seed and subject by true and predicted class, int64 [s, m, k, k],
    or by unit and outcome [s, m, k, 4]; every score is a sum over this one table."""
    kind: LabelKind = CLASSES


def count(predictions: Predictions) -> Counts:
    """The predictions of one variant, counted.

    Raises: JmerError without rows, with several variants, if a clip is predicted
    twice with one seed, or if a clip has two labels.
    """
    p = predictions
    if not len(p):
        raise JmerError("there are no predictions to score: did every task diverge?")
    _check_countable(p)
    seeds, seed = _groups(p.seed)
    subjects, subject = _groups(p.dataset, p.subject)
    labelled = sorted({*zip(p.names, answers(p.label), strict=True)})
    labels = dict(labelled)
    if len(labelled) != len(labels):
        twice = Counter(name for name, _ in labelled).most_common(1)[0][0]
        raise JmerError(f"clip {twice} has two labels: two data sets were mixed.")
    axes = (seed, len(seeds)), (subject, len(subjects))
    confusion = p.kind.by(axes, p.label, p.predicted, len(p.classes))
    return Counts([key for (key,) in seeds], subjects, labels, confusion, p.kind)


def answers(labels: np.ndarray) -> list[Answer]:
    """Labels [n] as plain values: the class, or the places of the units."""
    if kind_of(labels) is CLASSES:
        found: list[Answer] = labels.tolist()
        return found
    return [tuple(np.flatnonzero(row).tolist()) for row in labels]


def score(predictions: Predictions) -> dict[str, Any]:
    """Scores of one variant, in types that JSON knows.

    Those of `METRICS` pool the folds within each seed, then average over seeds;
    `fold_mean`, which some papers print instead, has the means over folds and seeds of
    accuracy, and of F1 and recall over the classes that a fold tests. `std` is the
    sample deviation over seeds (None with one seed), `ci95` the subject bootstrap,
    `confusion` the sum over seeds.
    `n` of classes, subjects and data sets counts distinct clips. Classes without a
    clip have None for their scores. Of action units, which `labels` says then, scores
    are those of `UNIT_METRICS`, `confusion` has their four counts [k, 4], and each has
    an interval of its own.

    Raises: JmerError, as `count` does.
    """
    p = predictions
    counts, kind = count(p), p.kind
    subjects, labels, confusion = counts.subjects, counts.labels, counts.confusion
    pooled = confusion.sum(axis=1)
    seed_scores = {name: metric(pooled) for name, metric in kind.metrics.items()}
    per_seed = [
        {"seed": key, "n_samples": round(float(kind.clips(pooled[i])))}
        | {name: float(values[i]) for name, values in seed_scores.items()}
        | {"confusion": pooled[i].tolist()}
        for i, key in enumerate(counts.seeds)
    ]
    std = None
    if len(counts.seeds) > 1:
        std = {name: float(v.std(ddof=1)) for name, v in seed_scores.items()}
    clips_of_subject = Counter(key[:2] for key in labels)
    places = np.hstack([np.array(place, int) for place in labels.values()])
    label_counts = np.bincount(places.astype(int), minlength=len(p.classes))
    per_class = _per_class(kind, p.classes, pooled, label_counts)
    if kind is UNITS:
        _add_intervals(per_class, confusion)
    return {
        **({"labels": kind.name} if kind is not CLASSES else {}),
        "n_samples": len(labels),
        "n_folds": len(np.unique(p.fold)),
        "n_subjects": len(subjects),
        "seeds": counts.seeds,
        "classes": [str(name) for name in p.classes],
        **_scores(kind, pooled),
        "fold_mean": _fold_mean(p),
        "per_seed": per_seed,
        "std": std,
        "ci95": _intervals(kind, confusion),
        "confusion": pooled.sum(axis=0).tolist(),
        "per_dataset": _per_dataset(kind, confusion, subjects, clips_of_subject),
        "per_class": per_class,
        "per_subject": [
            {"dataset": key[0], "subject": key[1], "n": clips_of_subject[key]}
            | {"acc": _scores(kind, confusion[:, i])["acc"]}
            for i, key in enumerate(subjects)
        ],
    }


def brief(predictions: Predictions, *more: str) -> dict[str, Any]:
    """The metrics that `score` gives, and `more` of it by name."""
    scores = score(predictions)
    return {name: scores[name] for name in (*predictions.kind.metrics, *more)}


def band(found: dict[str, Any], name: str) -> tuple[float, float] | None:
    """The 95 % interval of a score in what `score` found of all clips, or of one data
    set; None in a run of older versions, which have it for all clips alone, or lack
    this score, and with one subject: the same person drawn again has no width.
    """
    if name not in found.get("ci95", ()) or found["n_subjects"] < 2:
        return None
    low, high = found["ci95"][name]
    return low, high


def _intervals(kind: LabelKind, confusion: np.ndarray) -> dict[str, list[float]]:
    found = subject_bootstrap(confusion, metrics=kind.metrics)
    return {name: list(ends) for name, ends in found.items()}


def _add_intervals(per_class: dict[str, dict], confusion: np.ndarray) -> None:
    """Intervals of the F1 of each unit, beside it."""

    def of(i: int) -> Callable[[Any], Any]:
        return lambda counts: unit_f1(counts[..., i, :])

    each = {name: of(i) for i, name in enumerate(per_class)}
    for name, ends in subject_bootstrap(confusion, metrics=each).items():
        per_class[name]["ci95"] = {"f1": list(ends)}


def _fold_mean(p: Predictions) -> dict[str, float]:
    """Scores of each fold alone, averaged: no UF1, which pools the folds first. A unit
    that no clip of a fold shows counts as 0 in the mean of that fold."""
    folds, fold = _groups(p.seed, p.fold)
    axes = ((fold, len(folds)),)
    counts = p.kind.by(axes, p.label, p.predicted, len(p.classes))
    metrics = p.kind.metrics.values()
    return {m.over_folds: float(m(counts).mean()) for m in metrics}


def _per_dataset(
    kind: LabelKind,
    confusion: np.ndarray,
    subjects: list[tuple],
    clips_of_subject: Counter,
) -> dict[str, dict]:
    result = {}
    for name in sorted({dataset for dataset, _ in subjects}):
        members = [i for i, (dataset, _) in enumerate(subjects) if dataset == name]
        own = confusion[:, members]
        pooled = own.sum(axis=1)
        result[name] = {
            "n_samples": sum(clips_of_subject[subjects[i]] for i in members),
            "n_subjects": len(members),
            **_scores(kind, pooled),
            "ci95": _intervals(kind, own),
            "confusion": pooled.sum(axis=0).tolist(),
        }
    return result
