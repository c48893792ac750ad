"""What `metrics.json` says of a run."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jmer.runner.outcome import chosen_epochs, inner_curve, test_curve
from jmer.runner.session import Session
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import brief, score
from jmer.train.pack import PackResult
from jmer.train.tasks import Task

FITTED = {"fitted": True, "batches": None, "oracle": None, "epochs": None}
"""Of fits, which have no epochs to choose from."""
OF_ORACLE = ("n_samples", "n_subjects", "ci95", "per_dataset")


def account(
    session: Session,
    results: Sequence[PackResult],
    predictions: Predictions,
    oracle: Predictions,
) -> dict[str, Any]:
    """The scores of `predictions` and of the `oracle` beside them, and how they came
    about, as JSON values.
    """
    experiment, folds, clips = session.experiment, session.folds, session.clips
    wanted = set(session.tasks)
    # The first variant that has not diverged is the run's own; others are listed.
    shown, *_ = variants = np.unique(predictions.variant).tolist()
    own = {task for task in wanted if task.variant == shown}
    seconds = sum(result.seconds for result in results)
    found = {
        "protocol": experiment.protocol.describe(folds, clips),
        "selection": experiment.selection,
        "batches": experiment.batches,
        "subject_independent": experiment.protocol.keeps_apart(folds, clips),
        **score(predictions.select(variant=shown)),
        "oracle": brief(oracle.select(variant=shown), *OF_ORACLE),
        "epochs": chosen_epochs(results, own, folds, clips),
        "test_curve": test_curve(results, own, folds, clips),
        "inner_curve": inner_curve(results, own),
        "variant": shown,
        "variants": [
            {"values": session.variants[i], **brief(predictions.select(variant=i))}
            for i in variants
        ],
        "diverged": [
            {**dataclasses.asdict(task), "epoch": epoch}
            for task, epoch in _diverged(results, wanted)
        ],
        "seeds_left_out": sorted(
            {task.seed for result in results for task in result.tasks}
            - {task.seed for task in wanted}
        ),
        "wall_seconds": seconds,
        "throughput": _throughput(session, results, seconds),
        **({"stopped": stopped(results, own)} if experiment.patience else {}),
    }
    return {**found, **FITTED} if experiment.optim.fits else found


def _diverged(
    results: Sequence[PackResult], wanted: set[Task]
) -> Iterator[tuple[Task, int]]:
    """Tasks whose loss or gradient was not finite, and the evaluation that saw it."""
    for result in results:
        for i, task in enumerate(result.tasks):
            if task in wanted and not result.alive[-1, i]:
                yield task, int(result.epoch[np.argmin(result.alive[:, i])])


def _throughput(
    session: Session, results: Sequence[PackResult], seconds: float
) -> dict[str, float] | None:
    tasks = sum(len(result.tasks) for result in results)
    epochs = sum(int(epochs_of(result).sum()) for result in results)
    if not seconds:
        return None
    return {
        "folds_per_hour": 3600 * tasks / seconds,
        "clips_per_second": epochs * session.training_clips / seconds,
        "seconds_per_fold_epoch": seconds / epochs,
    }


def epochs_of(result: PackResult) -> np.ndarray:
    """How many epochs each task of a pack trained [f]."""
    every = np.full(len(result.tasks), int(result.epoch[-1]))
    if result.stopped is None:
        return every
    return np.where(result.stopped > 0, result.stopped, every)


def stopped(results: Sequence[PackResult], wanted: set[Task]) -> dict[str, int]:
    """How many `wanted` tasks there are, how many of them stopped before the end, and
    the epochs that all of them trained, of those they would have had."""
    found = [
        (int(epochs), int(result.epoch[-1]))
        for result in results
        for task, epochs in zip(result.tasks, epochs_of(result), strict=True)
        if task in wanted
    ]
    return {
        "tasks": len(found),
        "early": sum(epochs < most for epochs, most in found),
        "epochs_trained": sum(epochs for epochs, _ in found),
        "epochs_in_all": sum(most for _, most in found),
    }
