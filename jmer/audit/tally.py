"""Confusion by seed, fold and epoch, and all figures that can be made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jmer.audit.finding import Finding
from jmer.scores.labels import CLASSES, UNITS, LabelKind, kind_of
from jmer.scores.metrics import Metric
from jmer.text import points

Scores = Mapping[str, float]


@dataclass(frozen=True)
class Stated:
    """A figure as it was stated: values in [low, high] are printed like that."""

    text: str
    low: float
    high: float

    def meets(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Way:
    """Figures made in another way than by pooling the predictions of the last epoch."""

    rule: str
    """The rule that it breaks."""
    text: str
    scores: Scores


@dataclass(frozen=True, eq=False)
class Tally:
    """Confusion [s f e k k] by seed, fold and epoch; empty where not tested. Of action
    units their outcomes, [s f e k 4]."""

    counts: np.ndarray
    kind: LabelKind = CLASSES

    @classmethod
    def of(
        cls,
        label: np.ndarray,
        predicted: np.ndarray,
        classes: int,
        seed: np.ndarray,
        fold: np.ndarray,
        epoch: np.ndarray,
    ) -> "Tally":
        """From one row a prediction."""
        kind, axes = kind_of(label), []
        for column in (seed, fold, epoch):
            values, where = np.unique(column, return_inverse=True)
            axes.append((where, len(values)))
        return cls(kind.by(axes, label, predicted, classes), kind)

    @property
    def tested(self) -> np.ndarray:
        """Whether a fold is tested at an epoch [s f e]."""
        return self.counts.sum((-2, -1)) > 0

    @property
    def last(self) -> np.ndarray:
        """Position of the last epoch of each fold [s f]."""
        epochs = self.counts.shape[2]
        return epochs - 1 - self.tested[..., ::-1].argmax(-1)

    def at(self, epoch: np.ndarray) -> np.ndarray:
        """The matrices [s f k k] at an epoch of each fold [s f]."""
        return np.take_along_axis(
            self.counts, epoch[..., None, None, None], axis=2
        ).squeeze(2)

    @property
    def honest(self) -> Scores:
        """Pooled over the folds at their last epochs, averaged over seeds."""
        return pooled(self.kind, self.at(self.last))

    @property
    def oracle(self) -> Scores:
        """The same at the epoch of each fold with the best accuracy (of action units,
        the best mean F1) on its test clips, the first of equal ones."""
        _, best = next(self._best_of_folds())
        return pooled(self.kind, self.at(best))

    def ways(self) -> list[Way]:
        """The usual other ways, from the least to the most optimistic."""
        kind = self.kind
        made = _by_fold(kind, "pooling", "", self.at(self.last))
        seeds, _, epochs = self.counts.shape[:3]
        if epochs > 1:
            for how, best in self._best_of_folds():
                text = f"the epoch of each fold with the best {how} on its test clips"
                matrices = self.at(best)
                made.append(Way("selection", text, pooled(kind, matrices)))
                made += _by_fold(kind, "selection", f"{text}, and then ", matrices)
            made.append(self._best_common())
        if seeds > 1:
            each = [pooled(kind, one[None]) for one in self.at(self.last)]
            made.append(Way("selection", "the best seed", _highest(kind, each)))
        return made

    def _best_of_folds(self) -> Iterator[tuple[str, np.ndarray]]:
        metrics = self.kind.metrics
        right = np.where(self.tested, metrics["acc"](self.counts), -1)
        f1 = np.where(self.tested, self.kind.goal(self.counts), -1)
        last = right.shape[-1] - 1
        if self.kind is UNITS:  # whose own oracle goes by F1
            yield "F1", f1.argmax(-1)
        yield "accuracy", right.argmax(-1)
        yield "accuracy", last - right[..., ::-1].argmax(-1)
        yield "F1", f1.argmax(-1)
        yield "accuracy and then F1", (right + f1 / 1e6).argmax(-1)

    def _best_common(self) -> Way:
        every = np.flatnonzero(self.tested.all((0, 1)))
        kind = self.kind
        each = [pooled(kind, self.counts[:, :, epoch]) for epoch in every.tolist()]
        return Way(
            "selection",
            "the epoch with the best result on all test clips",
            _highest(kind, each) if each else {},
        )


def pooled(kind: LabelKind, matrices: np.ndarray) -> Scores:
    """Scores of [s f k m]: folds summed, seeds averaged."""
    total = matrices.sum(1)
    return {name: float(metric(total).mean()) for name, metric in kind.metrics.items()}


def _highest(kind: LabelKind, scores: Sequence[Scores]) -> Scores:
    return {name: max(one[name] for one in scores) for name in kind.metrics}


def _by_fold(
    kind: LabelKind, rule: str, before: str, matrices: np.ndarray
) -> list[Way]:
    """Scores of each fold alone, averaged: over the classes that a fold tests, over
    those that it tests or predicts, and over all.
    """
    some = matrices.sum((-2, -1)) > 0
    tested, found = _tested(kind, matrices)
    ways = []
    for which, counted in (
        ("that it tests", tested),
        ("that it tests or predicts", tested | found),
        ("there are", np.ones_like(tested)),
    ):
        each = {
            name: _over(kind, metric, matrices, counted)
            for name, metric in kind.metrics.items()
        }
        text = f"{before}the mean over folds, of the {kind.many} {which}"
        ways.append(
            Way(rule, text, {name: float(x[some].mean()) for name, x in each.items()})
        )
    return ways


def _tested(kind: LabelKind, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which classes or units a fold tests, and which it answers, [*b k]."""
    if kind is UNITS:  # neither, found alone, shown alone, both
        return matrices[..., 2:].sum(-1) > 0, matrices[..., 1::2].sum(-1) > 0
    return matrices.sum(-1) > 0, matrices.sum(-2) > 0


def _over(
    kind: LabelKind, metric: Metric, matrices: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """The metric of [*b k k], as the mean over the classes `counted` [*b k] if it is a
    mean over classes.
    """
    if not metric.mean_of:
        return metric(matrices)
    each = kind.each[metric.mean_of](matrices)
    return (each * counted).sum(-1) / np.maximum(counted.sum(-1), 1)


def explain_figures(
    stated: Mapping[str, Stated], honest: Scores, ways: Sequence[Way]
) -> dict[str, tuple[str, str]]:
    """For each stated figure that is not the honest one, the rule that it breaks and
    the way in which it was made; the rule is `metrics` if no way gives it.
    """
    found = {}
    for name, figure in stated.items():
        if figure.meets(honest[name]):
            continue
        fitting = (w for w in ways if name in w.scores and figure.meets(w.scores[name]))
        way = next(fitting, None)
        found[name] = ("metrics", "") if way is None else (way.rule, way.text)
    return found


def stated_findings(
    stated: Mapping[str, Stated], honest: Scores, ways: Sequence[Way]
) -> dict[str, Finding]:
    """A violation for each rule that a stated figure breaks."""
    broken = explain_figures(stated, honest, ways)
    made = {}
    for rule in {rule for rule, _ in broken.values()}:
        rows = tuple(
            {
                "figure": name,
                "stated": stated[name].text,
                "pooled": points(honest[name]),
            }
            | ({"it is that of": way} if way else {})
            for name, (of, way) in broken.items()
            if of == rule
        )
        shown = ", ".join(
            f"{row['figure']} {row['stated']} (the predictions give {row['pooled']})"
            for row in rows
        )
        cause = f": it is {rows[0]['it is that of']}" if rule != "metrics" else ""
        made[rule] = Finding(rule, "violation", f"Stated {shown}{cause}.", rows)
    return made
