"""Whether the figures of a run follow from its predictions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jmer.audit.evidence import Evidence
from jmer.audit.finding import Finding
from jmer.audit.selection import check_selection
from jmer.audit.tally import Stated, Tally, Way, explain_figures, stated_findings
from jmer.audit.worth import TOLERANCE, check_balance, check_size, differences
from jmer.data.clips import ClipSet
from jmer.errors import JmerError
from jmer.scores.labels import kind_in, kind_of
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score
from jmer.text import counted, points


def check_figures(evidence: Evidence) -> list[Finding]:
    """Verdicts on metrics, pooling, selection, balance and size."""
    run, metrics = evidence.run, evidence.run.metrics
    shown = run.predictions.select(
        variant=metrics.get("variant", run.predictions.variant.min())
    )
    names = set(shown.names)
    selection = check_selection(run, evidence.tested)
    size = check_size(len({name[:2] for name in names}), len(names))
    try:
        scores = score(shown)
        derived = {**scores, **_variants(run.predictions)}
    except JmerError as error:
        text = "The predictions cannot be scored"
        why = Finding("metrics", "unknown", f"{text}: {error}")
        others = (Finding(r, "unknown", f"{text}.") for r in ("pooling", "balance"))
        return [selection, size, why, *others]
    once = np.zeros(len(shown), int)
    answers = (shown.label, shown.predicted, len(shown.classes))
    own = Tally.of(*answers, shown.seed, shown.fold, once)
    ways = own.ways()
    if (history := _history(evidence, shown)) is not None:
        ways += [way for way in history.ways() if way.rule == "selection"]
        if metrics.get("oracle"):
            derived["oracle"] = history.oracle
    return [size, *_compared(metrics, derived, ways, selection), check_balance(scores)]


def _variants(p: Predictions) -> dict[str, Any]:
    """The figures of each variant, where there are several."""
    numbers = np.unique(p.variant).tolist()
    if len(numbers) < 2:
        return {}
    found = [score(p.select(variant=number)) for number in numbers]
    return {"variants": [{name: one[name] for name in p.kind.metrics} for one in found]}


def _compared(
    metrics: Mapping[str, Any],
    derived: Mapping[str, Any],
    ways: Sequence[Way],
    selection: Finding,
) -> list[Finding]:
    """Verdicts on metrics, pooling and selection."""
    kind = kind_in(metrics)
    stated = {
        name: Stated(points(value), value - TOLERANCE, value + TOLERANCE)
        for name, value in metrics.items()
        if name in kind.metrics and isinstance(value, int | float)
    }
    made = stated_findings(stated, derived, ways)
    found = explain_figures(stated, derived, ways)
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


def _history(evidence: Evidence, shown: Predictions) -> Tally | None:
    """What the trainings of `shown` predicted at every evaluation; None where that is
    not recorded, or the set cannot be read.
    """
    clips = evidence.clips
    if clips is None or not evidence.folds:
        return None
    try:
        parts = list(_evaluations(evidence, clips, shown))
    except JmerError:
        return None
    if not parts:
        return None
    joined = (np.concatenate(column) for column in zip(*parts, strict=True))
    label, predicted, seed, fold, epoch = joined
    return Tally.of(label, predicted, len(clips.classes), seed, fold, epoch)


def _evaluations(
    evidence: Evidence, clips: ClipSet, shown: Predictions
) -> Iterator[tuple[np.ndarray, ...]]:
    """Label, prediction, seed, fold and epoch of each training's every evaluation."""
    kind = kind_of(clips.label)
    tests = {fold.name: fold.test for fold in evidence.folds}
    seeds, variant = set(shown.seed.tolist()), int(shown.variant[0])
    for pack in evidence.run.packs:
        for i, task in enumerate(pack.tasks):
            if task.seed not in seeds or task.variant != variant:
                continue
            if not pack.alive[-1, i] or task.fold not in tests:
                continue
            test = tests[task.fold]
            found = kind.answer(pack.test_logits[:, i, : len(test)])  # e n
            rows = found.reshape(-1, *found.shape[2:])
            label = np.broadcast_to(clips.label[test], found.shape).reshape(rows.shape)
            epoch = np.repeat(pack.epoch, len(test))
            seed, fold = (np.full(len(rows), x) for x in (task.seed, task.fold))
            yield label, rows, seed, fold, epoch
