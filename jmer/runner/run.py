"""From an experiment to results: all its tasks, trained, tested and reported."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmer.data import load
from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.splits import make_folds
from jmer.experiment import Experiment
from jmer.files import write_json
from jmer.report import write_report
from jmer.runner.outcome import chosen_epochs, oracle_predictions, selected_predictions
from jmer.runner.progress import View
from jmer.runner.session import Session, check_inputs
from jmer.runs.folder import METRICS, PREDICTIONS, EventLog, environment, note, open_run
from jmer.scores.recognition import brief, score
from jmer.train import hosts
from jmer.train.pack import PackResult
from jmer.train.tasks import Task

OF_ORACLE = ("n_samples", "n_subjects", "ci95", "per_dataset")


def run(
    experiment: Experiment,
    *,
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
    view: View,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Trains what is not trained yet, scores all of it, and writes the reports.

    Returns the metrics; of several processes the first one, which writes.

    Raises: JmerError for unusable data, a run directory of another experiment, or a
    disk that cannot be written (AllDiverged if nothing is left to score);
    KeyboardInterrupt, with a checkpoint saved, once `stopping` says so.
    """
    clips = load_everywhere(experiment.data)
    check_inputs(experiment.model, clips)
    folds = make_folds(experiment.protocol, clips)
    session = Session(experiment, clips, folds, view.say)
    description = {
        "name": name,
        "command": command,
        "experiment": experiment.resolved(),
        "identity": {
            **experiment.identity(),
            "dtype": session.dtype_name,
            **session.start.identity,
            "weights": experiment.model.file_hashes,
            "data_fingerprint": clips.fingerprint,
        },
        "data": {"config": experiment.data.config_name, **clips.summary()},
        **environment(),
    }
    hosts.first_then_all(lambda: open_run(run_dir, description, overwrite=overwrite))
    log = EventLog(run_dir)

    def planned(plan: dict[str, Any]) -> None:
        if hosts.is_first():
            note(run_dir, "plan", plan)

    try:
        results = session.train(run_dir / "checkpoints", view, log, stopping, planned)
    finally:
        log.close()
        view.close()
    if not hosts.is_first():
        return None
    return write_results(session, results, run_dir)


def load_everywhere(data: DataConfig) -> ClipSet:
    """The clips of a data set, on each process: the first one prepares the set where
    need be; the others find it done.
    """
    return hosts.first_then_all(lambda: load(data)) or load(data)


def write_results(
    session: Session, results: Sequence[PackResult], run_dir: Path
) -> dict[str, Any]:
    """Predictions, metrics and reports of the tasks that the experiment asks for.

    Raises: AllDiverged if every task diverged.
    """
    experiment = session.experiment
    wanted = set(session.tasks)
    predictions = selected_predictions(results, wanted, session.folds, session.clips)
    oracle = oracle_predictions(results, wanted, session.folds, session.clips)
    predictions.save(run_dir / PREDICTIONS)
    # The first variant that has not diverged is the run's own; others are listed.
    shown, *_ = variants = np.unique(predictions.variant).tolist()
    seconds = sum(r.seconds for r in results)
    metrics = {
        "protocol": experiment.protocol.describe(session.folds, session.clips),
        "selection": experiment.selection,
        "batches": experiment.batches,
        "subject_independent": experiment.protocol.subject_independent,
        **score(predictions.select(variant=shown)),
        "oracle": brief(oracle.select(variant=shown), *OF_ORACLE),
        "epochs": chosen_epochs(
            results,
            {task for task in wanted if task.variant == shown},
            session.folds,
            session.clips,
        ),
        "variant": shown,
        "variants": [
            {"values": session.variants[i], **brief(predictions.select(variant=i))}
            for i in variants
        ],
        "diverged": [
            {**dataclasses.asdict(task), "epoch": epoch}
            for task, epoch in diverged(results, wanted)
        ],
        "wall_seconds": seconds,
        "throughput": throughput(session, results, seconds),
    }
    write_json(run_dir / METRICS, metrics)
    write_report(run_dir)
    return metrics


def diverged(results: Sequence[PackResult], wanted: set[Task]):
    """Tasks whose loss or gradient was not finite, and the evaluation that saw it."""
    for result in results:
        for i, task in enumerate(result.tasks):
            if task in wanted and not result.alive[-1, i]:
                yield task, int(result.epoch[np.argmin(result.alive[:, i])])


def throughput(session: Session, results, seconds: float) -> dict[str, float] | None:
    tasks = sum(len(r.tasks) for r in results)
    epochs = session.experiment.epochs
    if not seconds:
        return None
    return {
        "folds_per_hour": 3600 * tasks / seconds,
        "clips_per_second": tasks * epochs * session.training_clips / seconds,
        "seconds_per_fold_epoch": seconds / (tasks * epochs),
    }
