"""Whether the epochs that a run was tested at are those that its rule says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import Name
from jmer.errors import JmerError
from jmer.runs.run import Run
from jmer.scores.labels import kind_of
from jmer.scores.predictions import Predictions
from jmer.text import counted
from jmer.train.pack import PackResult
from jmer.train.tasks import Task

AnswersByClip = dict[Name, tuple[Any, Any]]
"""Label and answer: classes, or truths of action units [k]."""
CLAIMS = {"last": "the last epoch", "inner": "the epoch that did best on inner clips"}


def check_selection(
    run: Run, tested: Mapping[str, Sequence[Name]] | None = None
) -> Finding:
    """Compares the predictions of a run with what each training predicted at each of
    its evaluations.

    `tested` names the test clips of each fold in their order, where the data set can
    be read; without it they are those of the predictions.
    """
    rule = "selection"
    claimed = run.metrics.get("selection")
    if claimed not in CLAIMS:
        text = f"Nothing says how the epoch of {claimed or 'these weights'} was chosen."
        return Finding(rule, "unknown", text)
    try:
        packs = run.packs
    except JmerError as error:
        return Finding(rule, "unknown", f"The record of the epochs is gone: {error}")
    if not packs:
        text = "The checkpoints, which record every epoch, are gone."
        return Finding(rule, "unknown", text)
    if others := _other_number(run.predictions, packs):
        return Finding(rule, "violation", others)
    answers = _answers(run.predictions)
    known = {task: (pack, i) for pack in packs for i, task in enumerate(pack.tasks)}
    criterion = run.experiment["experiment"].get("inner_criterion", "uf1")
    rows: list[dict[str, Any]] = []
    for task, own in sorted(answers.items()):
        if task not in known:
            rows.append(_row(task, "no training is recorded"))
            continue
        pack, i = known[task]
        order = sorted(own) if tested is None else tested.get(task.fold, ())
        problem = (
            _cut_short(pack, run.experiment["experiment"].get("epochs"))
            or _rule_broken(pack, i, claimed, criterion)
            or _other_epoch(pack, i, order, own)
        )
        if problem:
            rows.append(_row(task, problem))
    if rows:
        text = (
            f"The run says that {CLAIMS[claimed]} was tested, but in {len(rows)} of "
            f"{counted(len(answers), 'training')} that is not so: {rows[0]['problem']}."
        )
        return Finding(rule, "violation", text, tuple(rows))
    text = (
        f"The predictions of {counted(len(answers), 'training')} are those of "
        f"{CLAIMS[claimed]}, as recorded."
    )
    unknown = all(np.isnan(pack.inner_loss).all() for pack, _ in known.values())
    if claimed == "inner" and criterion != "uf1" and unknown:
        text += (
            " The version that trained it kept no inner losses, so how they compare is "
            "not checked."
        )
    if unlike := _other_seeds(run, {task.seed for task in known}):
        return Finding(rule, "warning", f"{text} {unlike}")
    return Finding(rule, "ok", text)


def _other_number(p: Predictions, packs: Sequence[PackResult]) -> str:
    """Whether predictions are of more or fewer classes or action units than were
    trained; who leaves out a unit may have seen its score on the test clips."""
    trained = {pack.test_logits.shape[-1] for pack in packs}
    if trained == {len(p.classes)}:
        return ""
    return (
        f"The predictions are of {len(p.classes)} {p.kind.many} "
        f"({', '.join(p.classes)}), and what was trained told "
        f"{' or '.join(map(str, sorted(trained)))} apart: some were left out or added."
    )


def _cut_short(pack: PackResult, epochs: Any) -> str:
    """Whether a training ended before, or after, the epoch that the run claims."""
    ended = int(pack.epoch[-1])
    if not isinstance(epochs, int) or ended == epochs:
        return ""
    return f"it ended with epoch {ended}, and the run says {epochs}"


def _other_seeds(run: Run, trained: set[int]) -> str:
    """Seeds that were trained and are not scored: one chooses among them by their
    scores on the test clips."""
    scored = set(run.predictions.seed.tolist())
    left = sorted(trained - scored)
    if not left:
        return ""
    return (
        f"{counted(len(left), 'seed')} ({', '.join(map(str, left[:8]))}) "
        f"{'was' if len(left) == 1 else 'were'} trained as well and left out of the "
        f"result; who leaves out seeds may have seen their scores on the test clips."
    )


def _answers(p: Predictions) -> dict[Task, AnswersByClip]:
    """Label and prediction of each clip, by training."""
    found: dict[Task, AnswersByClip] = {}
    columns = (p.seed.tolist(), p.fold.tolist(), p.variant.tolist())
    rows = zip(p.names, *columns, p.label, p.predicted, strict=True)
    for name, seed, fold, variant, *answer in rows:
        label, predicted = answer
        found.setdefault(Task(seed, fold, variant), {})[name] = label, predicted
    return found


def _rule_broken(pack: PackResult, i: int, claimed: str, criterion: str) -> str:
    """How the epoch that was kept is not the one of the rule; empty if it is."""
    kept = int(pack.selected[i])
    last = int(pack.epoch[-1])
    if claimed == "last":
        return "" if kept == last else f"epoch {kept} was kept, not the last, {last}"
    if kept not in pack.epoch:
        return f"epoch {kept} was kept, at which nothing was evaluated"
    score = np.where(pack.alive[:, i], pack.inner_uf1[:, i], -1)
    loss = np.where(pack.alive[:, i], pack.inner_loss[:, i], np.inf)
    mine = float(score[pack.epoch == kept][0])
    if criterion == "uf1" and mine < score.max() - 1e-6:
        best = int(pack.epoch[score.argmax()])
        return (
            f"epoch {kept} was kept with UF1 {mine:.4f} on inner clips, but epoch "
            f"{best} has {score.max():.4f}"
        )
    # Of equal UF1 the lower loss wins.
    loss = np.where(score == mine, loss, np.inf) if criterion == "uf1" else loss
    mine = float(loss[pack.epoch == kept][0])
    if mine > loss.min() + 1e-6:
        best = int(pack.epoch[loss.argmin()])
        return (
            f"epoch {kept} was kept with loss {mine:.4f} on inner clips, but epoch "
            f"{best} has {loss.min():.4f}"
        )
    return ""


def _other_epoch(
    pack: PackResult, i: int, order: Sequence[Name], own: AnswersByClip
) -> str:
    """Which other epoch the predictions are from; empty if from the one kept."""
    places = [place for place, name in enumerate(order) if name in own]
    if not places:
        return ""
    pairs = zip(*(own[order[place]] for place in places), strict=True)
    label, predicted = (np.array(answers) for answers in pairs)
    kind = kind_of(label)
    every = kind.answer(pack.test_logits[:, i, places])  # e n
    same = (every == predicted).reshape(len(every), -1).all(1)
    kept = int(np.flatnonzero(pack.epoch == pack.selected[i])[0])
    if same[kept]:
        return ""
    if not same.any():
        return "the predictions are those of no epoch that was recorded"
    right = kind.best(label, every)
    found = int(np.flatnonzero(same)[0])
    best = ", the best on the test clips" if right[found] == right.max() else ""
    return (
        f"the predictions are those of epoch {pack.epoch[found]}{best}, not of epoch "
        f"{pack.selected[i]}"
    )


def _row(task: Task, problem: str) -> dict[str, Any]:
    return {
        "fold": task.fold,
        "seed": task.seed,
        "variant": task.variant,
        "problem": problem,
    }
