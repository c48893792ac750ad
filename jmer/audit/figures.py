"""Whether the figures of a run follow from its predictions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jmer.audit.evidence import Evidence
from jmer.audit.finding import Finding
from jmer.audit.scores import TOLERANCE, check_balance, check_size, differences
from jmer.audit.selection import check_selection
from jmer.audit.table import Name
from jmer.audit.tally import Stated, Tally, Way, explained, stated_findings
from jmer.errors import JmerError
from jmer.metrics import METRICS
from jmer.notebook import Run
from jmer.results import Predictions, score
from jmer.text import counted, points


def check_figures(evidence: Evidence) -> list[Finding]:
    """Verdicts on metrics, pooling, selection, balance and size."""
    run, metrics = evidence.run, evidence.run.metrics
    shown = run.predictions.select(variant=metrics.get("variant", 0))
    names, tested = set(shown.names), evidence.tested
    selection = check_selection(run, tested)
    size = check_size(len({name[:2] for name in names}), len(names))
    try:
        scores = score(shown)
        derived = {**scores, **_variants(run.predictions)}
    except JmerError as error:
        text = f"The predictions cannot be scored: {error}"
        rules = ("metrics", "pooling", "balance")
        return [selection, size, *(Finding(rule, "unknown", text) for rule in rules)]
    once = np.zeros(len(shown), int)
    answers = (shown.label, shown.predicted, len(shown.classes))
    own = Tally.of(*answers, shown.seed, shown.fold, once)
    ways = own.ways()
    if tested is not None and (history := _history(run, shown, tested)) is not None:
        more = [way for way in history.ways() if way.rule == "selection"]
        ways += more
        if metrics.get("oracle"):  # the first of them, if there are several epochs
            derived["oracle"] = more[0].scores if more else history.honest
    return [size, *_compared(metrics, derived, ways, selection), check_balance(scores)]


def _variants(p: Predictions) -> dict[str, Any]:
    """The figures of each variant, where there are several."""
    numbers = np.unique(p.variant).tolist()
    if len(numbers) < 2:
        return {}
    found = [score(p.select(variant=number)) for number in numbers]
    return {"variants": [{name: one[name] for name in METRICS} for one in found]}


def _compared(
    metrics: Mapping[str, Any],
    derived: Mapping[str, Any],
    ways: Sequence[Way],
    selection: Finding,
) -> list[Finding]:
    """Verdicts on metrics, pooling and selection."""
    stated = {
        name: Stated(points(value), value - TOLERANCE, value + TOLERANCE)
        for name, value in metrics.items()
        if name in METRICS
    }
    made = stated_findings(stated, derived, ways)
    found = explained(stated, derived, ways)
    elsewhere = {name for name, (rule, _) in found.items() if rule != "metrics"}
    others = {name: value for name, value in derived.items() if name not in elsewhere}
    if rows := tuple(differences(dict(metrics), others)):
        shown = "; ".join(
            f"{row['figure']} is {row['stated']}, but {row['derived']} by the "
            f"predictions"
            for row in rows[:3]
        )
        text = f"{counted(len(rows), 'figure')} of metrics.json differ: {shown}."
        made["metrics"] = Finding("metrics", "violation", text, rows)
    for rule, text in (
        ("metrics", "All figures of metrics.json follow from predictions.csv."),
        ("pooling", "The scores pool the predictions of all folds before they count."),
    ):
        made.setdefault(rule, Finding(rule, "ok", text))
    if selection.verdict == "violation":
        made["selection"] = selection
    made.setdefault("selection", selection)
    return list(made.values())


def _history(
    run: Run, shown: Predictions, tested: Mapping[str, Sequence[Name]]
) -> Tally | None:
    """What the trainings of `shown` predicted at every evaluation; None if that is
    not recorded.
    """
    try:
        parts = list(_evaluations(run, shown, tested))
    except JmerError:
        return None
    if not parts:
        return None
    joined = (np.concatenate(column) for column in zip(*parts, strict=True))
    label, predicted, seed, fold, epoch = joined
    return Tally.of(label, predicted, len(shown.classes), seed, fold, epoch)


def _evaluations(
    run: Run, shown: Predictions, tested: Mapping[str, Sequence[Name]]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Label, prediction, seed, fold and epoch of each training's every evaluation."""
    label_of = dict(zip(shown.names, shown.label.tolist(), strict=True))
    wanted = set(zip(shown.seed.tolist(), shown.fold.tolist(), strict=True))
    variant = int(shown.variant[0])
    for pack in run.packs:
        for i, task in enumerate(pack.tasks):
            names = tested.get(task.fold, ())
            if (task.seed, task.fold) not in wanted or task.variant != variant:
                continue
            if not all(name in label_of for name in names):
                continue
            found = pack.test_logits[:, i, : len(names)].argmax(-1)  # e n
            label = np.broadcast_to([label_of[name] for name in names], found.shape)
            epoch = np.broadcast_to(pack.epoch[:, None], found.shape)
            seed, fold = (np.full(found.size, x) for x in (task.seed, task.fold))
            yield label.ravel(), found.ravel(), seed, fold, epoch.ravel()
