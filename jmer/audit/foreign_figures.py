"""What somebody else's predictions give, beside the figures stated of them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import Name
from jmer.audit.rows import ListedRow
from jmer.audit.tally import Scores, Stated, Tally, Way, stated_findings
from jmer.audit.worth import check_balance, check_size
from jmer.errors import JmerError, UsageError
from jmer.scores.metrics import METRICS, headlines, label_of
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.text import did_you_mean, points


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of all epochs; the arrays have an entry for each."""

    predictions: Predictions
    epoch: np.ndarray

    @classmethod
    def of(
        cls, rows: Sequence[ListedRow], folds: Sequence[str], names: Iterable[Name]
    ) -> "Answers":
        """From rows, the fold of each and its clip."""
        words = {row.text(name) for row in rows for name in ("label", "predicted")}
        classes = tuple(sorted(words))
        code = {word: i for i, word in enumerate(classes)}
        predicted = np.array([code[row.text("predicted")] for row in rows])
        dataset, subject, clip = (np.array(x) for x in zip(*names, strict=True))
        predictions = Predictions(
            classes=classes,
            dataset=dataset,
            subject=subject,
            clip=clip,
            fold=np.array(folds),
            seed=np.array([row.number("seed") or 0 for row in rows]),
            variant=np.zeros(len(rows), int),
            label=np.array([code[row.text("label")] for row in rows]),
            predicted=predicted,
            probabilities=np.eye(len(classes), dtype=np.float32)[predicted],
        )
        return cls(predictions, np.array([row.number("epoch") or 0 for row in rows]))

    @property
    def tally(self) -> Tally:
        p = self.predictions
        answers = (p.label, p.predicted, len(p.classes))
        return Tally.of(*answers, p.seed, p.fold, self.epoch)

    @property
    def last(self) -> Predictions:
        """Those of the last epoch of each training."""
        p = self.predictions
        trainings = list(zip(p.seed.tolist(), p.fold.tolist(), strict=True))
        final = dict(sorted(zip(trainings, self.epoch.tolist(), strict=True)))
        return p.where(self.epoch == np.array([final[key] for key in trainings]))


def parse_stated(words: Sequence[str]) -> dict[str, Stated]:
    """`uf1=0.85` as a figure that rounds, or is cut, to what is printed.

    Raises: UsageError for another score, or a number outside its range.
    """
    made = {}
    for word in words:
        name, _, text = word.lower().partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        metric = METRICS.get(name)
        if metric is None or not metric.low <= value <= metric.high:
            low, high = (metric.low, metric.high) if metric else (0, 1)
            raise UsageError(
                f"stated={word}: must be NAME=VALUE with a name of "
                f"{', '.join(METRICS)} and a value from {low:g} to {high:g}"
                f"{_as_share(name, text) if metric else did_you_mean(name, METRICS)}"
            )
        unit = 10.0 ** -len(text.partition(".")[2])
        made[name] = Stated(text, value - 0.5001 * unit, value + 0.9999 * unit)
    return made


def _as_share(name: str, text: str) -> str:
    """What a percentage, or a number with a comma, may have been meant for."""
    found = re.fullmatch(r"(\d+)(?:[.,](\d+))?\s*%?", text.strip())
    if not found:
        return ""
    digits, rest = found[1], found[2] or ""
    if "%" in text or float(digits) > 1:
        digits, rest = digits.zfill(3)[:-2], digits.zfill(3)[-2:] + rest
    meant = f"{int(digits)}.{rest}" if rest else digits
    return f" (did you mean '{name}={meant}'?)" if float(meant) <= 1 else ""


def check_stated(answers: Answers, stated: Mapping[str, Stated]) -> list[Finding]:
    """Verdicts on metrics, pooling, selection, balance and size."""
    tally, last = answers.tally, answers.last
    ways, honest = tally.ways(), tally.honest
    made = stated_findings(stated, honest, ways)
    made.setdefault("metrics", _metrics(tally, honest, bool(stated)))
    made.setdefault("pooling", _pooling(bool(stated)))
    made.setdefault("selection", _selection(tally, honest, ways, bool(stated)))
    subjects = {name[:2] for name in last.names}
    # Where nothing names the clips, each seed has its own.
    clips = max(len(set(last.select(seed=s).names)) for s in np.unique(last.seed))
    try:
        balance = check_balance(score(last))
    except JmerError:  # of a clip that is tested twice, or has two labels
        balance = Finding("balance", "unknown", "The predictions cannot be scored.")
    return [*made.values(), balance, check_size(len(subjects), clips)]


def _metrics(tally: Tally, honest: Scores, stated: bool) -> Finding:
    shown = ", ".join(f"{label_of(name)} {points(x)}" for name, x in honest.items())
    if tally.counts.shape[2] > 1:
        shown += " at the last epoch of each fold"
    if stated:
        text = f"The stated figures follow from the predictions: {shown}."
        return Finding("metrics", "ok", text)
    text = f"No figure was stated. The predictions give {shown}."
    return Finding("metrics", "unknown", text)


def _pooling(stated: bool) -> Finding:
    if stated:
        text = "No stated figure is the mean of the folds' own."
        return Finding("pooling", "ok", text)
    return Finding("pooling", "unknown", "No figure was stated.")


def _selection(
    tally: Tally, honest: Scores, ways: Sequence[Way], stated: bool
) -> Finding:
    rule = "selection"
    if tally.counts.shape[2] == 1:
        text = "One epoch of each clip does not tell how it was chosen."
        return Finding(rule, "unknown", text)
    if tally.tested.sum(-1).max() == 1:
        text = (
            "The folds were tested at different epochs: something chose them, and "
            "nothing says that it was not the test clips."
        )
        return Finding(rule, "warning", text)
    best = next(way for way in ways if way.rule == rule)
    first = headlines()[0]
    text = (
        f"With {best.text}, {first.label} would be {points(best.scores[first.name])} "
        f"instead of {points(honest[first.name])}."
    )
    if stated:
        return Finding(rule, "ok", f"The stated figures are not that. {text}")
    return Finding(rule, "unknown", f"No figure was stated. {text}")
