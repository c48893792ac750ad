"""What finished tasks predicted, at the honest epoch and at the oracle's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmer.arrays import Array
from jmer.data.asking import check_command
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.files import json_bytes, write_group
from jmer.files.digest import written, written_file
from jmer.runs.folder import METRICS, PREDICTIONS, PROGRESS, RUN, SUMS, run_of
from jmer.scores.labels import CLASSES, kind_of
from jmer.scores.predictions import Predictions
from jmer.train.pack import PackResult
from jmer.train.step import Record
from jmer.train.tasks import Task


class AllDiverged(JmerError):
    """No task of a run is left to score."""


Choose = Callable[[PackResult, int, np.ndarray], int]


def selected_predictions(
    results: Sequence[PackResult],
    wanted: set[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
) -> Predictions:
    """Test predictions of the wanted tasks at their selected epochs.

    Tasks that diverged are left out.

    Raises: AllDiverged if none is left.
    """
    return _predictions(results, wanted, folds, clips, _selected)


def oracle_predictions(
    results: Sequence[PackResult],
    wanted: set[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
) -> Predictions:
    """The same at the epoch with the best accuracy on the test subject itself; of
    action units, with the best mean F1 there.

    Much published code reports this; it is inflated, and shown for comparison only.
    """
    return _predictions(results, wanted, folds, clips, _best_on_test(clips))


def chosen_epochs(
    results: Sequence[PackResult],
    wanted: set[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
) -> dict[str, list[int]]:
    """The `selected` and the `oracle` epoch of each task that has not diverged, in the
    order of tasks.
    """
    by_name = {fold.name: fold for fold in folds}
    rules = {"selected": _selected, "oracle": _best_on_test(clips)}
    return {
        name: [
            int(result.epoch[choose(result, i, by_name[task.fold].test)])
            for task, result, i in _finished(results, wanted)
        ]
        for name, choose in rules.items()
    }


def test_curve(
    results: Sequence[PackResult],
    wanted: set[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
) -> dict[str, list[Any]]:
    """UF1 of the test clips, or mean F1 of action units, after each `epoch` at which
    all wanted tasks were evaluated: predictions of all folds pooled within a seed,
    seeds averaged.

    To be looked at, and never to choose by. Tasks that diverged are left out.
    """
    by_name = {fold.name: fold for fold in folds}
    k, kind = len(clips.classes), kind_of(clips.label)
    name = kind.headlines[0].name
    finished = list(_finished(results, wanted))
    if not finished:
        return {"epoch": [], name: []}
    common = sorted(set.intersection(*({*r.epoch.tolist()} for _, r, _ in finished)))
    epochs = len(common)
    confusion = {task.seed: kind.zeros(k, epochs) for task, _, _ in finished}
    for task, result, i in finished:
        test = by_name[task.fold].test
        rows = np.searchsorted(result.epoch, common)
        predicted = kind.answer(result.test_logits[rows, i, : len(test)])
        when = np.repeat(np.arange(epochs), len(test))
        label = np.concatenate([clips.label[test]] * epochs)
        found = predicted.reshape(label.shape)
        confusion[task.seed] += kind.by(((when, epochs),), label, found, k)
    each = kind.goal(np.stack([*confusion.values()]))
    return {"epoch": common, name: np.mean(each, axis=0).tolist()}


def inner_curve(
    results: Sequence[PackResult], wanted: set[Task]
) -> dict[str, list[Any]]:
    """Mean cross-entropy (nats) on the inner clips after each `epoch` at which all
    wanted tasks were evaluated, averaged over them; empty without inner clips.

    Tasks that diverged are left out, as in the scores.
    """
    finished = list(_finished(results, wanted))
    if not finished or any(np.isnan(r.inner_loss[:, i]).any() for _, r, i in finished):
        return {"epoch": [], "loss": []}
    common = sorted(set.intersection(*({*r.epoch.tolist()} for _, r, _ in finished)))
    each = [r.inner_loss[np.isin(r.epoch, common), i] for _, r, i in finished]
    return {"epoch": common, "loss": np.mean(each, axis=0).tolist()}


def _best_on_test(clips: ClipSet) -> Choose:
    kind = kind_of(clips.label)

    def choose(result: PackResult, task: int, test: np.ndarray) -> int:
        predicted = kind.answer(result.test_logits[:, task, : len(test)])
        return int(kind.best(clips.label[test], predicted).argmax())

    return choose


def _selected(result: PackResult, task: int, test: np.ndarray) -> int:
    return int(np.flatnonzero(result.epoch == result.selected[task])[0])


def _predictions(
    results: Sequence[PackResult],
    wanted: set[Task],
    folds: Sequence[Fold],
    clips: ClipSet,
    choose: Choose,
) -> Predictions:
    by_name = {fold.name: fold for fold in folds}
    parts = []
    for task, result, i in _finished(results, wanted):
        test = by_name[task.fold].test
        logits = result.test_logits[choose(result, i, test), i, : len(test)]
        parts.append(predict(task, test, logits, clips))
    if not parts:
        raise AllDiverged(
            f"every task diverged: its loss was not finite. Lower --optim.lr, or look "
            f"at the data with `{check_command()}`."
        )
    return join(parts)


def _finished(
    results: Sequence[PackResult], wanted: set[Task]
) -> Iterator[tuple[Task, PackResult, int]]:
    found = {
        task: (task, result, i)
        for result in results
        for i, task in enumerate(result.tasks)
        if task in wanted and result.alive[-1, i]
    }
    return (found[task] for task in sorted(found))


def predict(
    task: Task, test: np.ndarray, logits: np.ndarray, clips: ClipSet
) -> Predictions:
    """The predictions of one task for its test clips, from logits [t, k]."""
    n, kind = len(test), kind_of(clips.label)
    answer = kind.answer(logits)
    return Predictions(
        classes=clips.classes,
        dataset=clips.dataset[test],
        subject=clips.subject[test],
        clip=clips.clip_id[test],
        fold=np.full(n, task.fold),
        seed=np.full(n, task.seed),
        variant=np.full(n, task.variant),
        label=clips.label[test],
        predicted=answer.astype(np.int64) if kind is CLASSES else answer,
        probabilities=kind.shares(logits),
        session=clips.session[test] if (clips.session != "").any() else None,
    )


def write_scored(
    run_dir: Path, predictions: Predictions, metrics: Mapping[str, Any]
) -> None:
    """Both files of a run or neither: no scores are ever read beside predictions that
    they are not of. A run without metrics is unfinished, and goes on. The metrics know
    the files beside them by their checksums.

    Raises: JmerError if the place cannot be written.
    """
    table = predictions.content()
    sums = {PREDICTIONS: written(table)}
    if (log := run_dir / PROGRESS).exists():
        sums[PROGRESS] = written_file(log)
    about = {**metrics, RUN: run_of(run_dir), SUMS: sums}
    write_group(run_dir, {PREDICTIONS: table, METRICS: json_bytes(about)})


def join(parts: Sequence[Predictions]) -> Predictions:
    """All rows of several predictions over the same classes."""
    names = ("dataset", "subject", "clip", "fold", "seed", "variant", "label")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*names, "predicted", "probabilities")
    }
    if any(part.session is not None for part in parts):
        columns["session"] = np.concatenate([part.sessions for part in parts])
    return Predictions(classes=parts[0].classes, **columns)


def test_accuracy(
    record: Record, tasks: Sequence[Task], folds: Sequence[Fold], clips: ClipSet
) -> float | None:
    """Share of test clips that the tasks alive get right at one evaluation; of their
    action units, where labels are those."""
    kind = kind_of(clips.label)
    by_name = {fold.name: fold for fold in folds}
    right = total = 0
    for task, alive, logits in zip(
        tasks, record.alive, record.test_logits, strict=True
    ):
        if alive:
            test = by_name[task.fold].test
            label = clips.label[test]
            right += int((kind.answer(logits[: len(test)]) == label).sum())
            total += label.size
    return right / total if total else None


def mean_of(values: Array) -> float | None:
    """The mean of the finite values, for JSON; None without one."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
