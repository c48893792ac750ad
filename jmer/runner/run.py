"""From an experiment to results: all its tasks, trained, tested and reported."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jmer.data import load
from jmer.data.clips import ClipSet
from jmer.data.config import DataConfig
from jmer.data.splits import Fold, make_folds
from jmer.experiment import Experiment
from jmer.files.lock import tell
from jmer.models.origin import origin
from jmer.nn.lowering.choice import current
from jmer.report import write_report
from jmer.report.looks import write_looks
from jmer.runner.account import account
from jmer.runner.features import seen_by_tasks
from jmer.runner.feeding import room_for
from jmer.runner.outcome import (
    oracle_predictions,
    selected_predictions,
    write_scored,
)
from jmer.runner.progress import View
from jmer.runner.reported import reported
from jmer.runner.session import Session, check_inputs
from jmer.runner.stages import REPORTS, stage
from jmer.runner.start import Start, read_start
from jmer.runner.together import require_same_data, require_same_options
from jmer.runner.training import train
from jmer.runs.environment import environment
from jmer.runs.events import EventLog
from jmer.runs.folder import CHECKPOINTS, SMALL, marks, note, owning
from jmer.runs.opening import open_run
from jmer.train import hosts
from jmer.train.mesh import compute_dtype
from jmer.train.numerics import pinned
from jmer.train.objective import require_loss
from jmer.train.pack import PackResult


def run(
    experiment: Experiment,
    *,
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
    view: View,
    wait: bool = False,
    stopping: Callable[[], bool] = lambda: False,
    changed: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Trains what is not trained yet, scores all of it, and writes the reports.

    Returns the metrics; of several processes the first one, which writes. With `wait`,
    begins once another run in that folder has ended. `changed` is what a small size
    changed, for the report to say.

    Raises: JmerError for unusable data, a run directory of another experiment or that
    is in use, processes whose options differ, or a disk that cannot be written
    (AllDiverged if nothing is left to score; NotReported if all is scored and stored,
    but the report cannot be written); KeyboardInterrupt, with a checkpoint
    saved, once `stopping` says so.
    """
    require_same_options({"": experiment}, run_dir=run_dir, overwrite=overwrite)
    lock = owning(run_dir, wait=wait, say=view.say, stopping=stopping)
    with pinned(), contextlib.ExitStack() as stack:
        # One of the processes has it for all of them.
        hosts.first_then_all(lambda: stack.enter_context(lock))
        about = {"name": name, "command": command, "changed": tuple(changed)}
        return _run(experiment, about, run_dir, overwrite, view, stopping)


def _run(
    experiment: Experiment,
    told: Mapping[str, Any],
    run_dir: Path,
    overwrite: bool,
    view: View,
    stopping: Callable[[], bool],
) -> dict[str, Any] | None:
    network = experiment.model
    clips = clips_of(experiment, view.say, stopping)

    def prepared() -> tuple[list[Fold], Start, dict[str, Any]]:
        check_inputs(network, clips)
        shown = clips.inputs, clips.label, len(clips.classes)
        require_loss(experiment.loss, network, *shown)
        folds = make_folds(experiment.protocol, clips)
        start = read_start(experiment, folds, clips)
        about = describe(experiment, clips, start, **told)
        return folds, start, about

    folds, start, about = hosts.all_or_none(prepared)
    require_same_data(about["identity"], folds)
    if hosts.is_first() and (remark := experiment.protocol.remark()):
        view.say(remark)
    hosts.first_then_all(
        lambda: open_run(run_dir, about, overwrite=overwrite, say=view.say)
    )
    seen = seen_by_tasks(network, clips, current(), view.say, stopping)
    session = Session(experiment, clips, folds, seen, start)

    def planned(plan: dict[str, Any]) -> None:
        if hosts.is_first():
            note(run_dir, "plan", plan)

    with contextlib.closing(view):
        with contextlib.closing(EventLog(run_dir)) as log:
            packs = session.plan(run_dir / CHECKPOINTS, view.say, planned)
            results = train(session, packs, view, log, stopping)
        if not hosts.is_first():
            return None
        with stage("writing the report", REPORTS, patient=True):
            return write_results(session, results, run_dir)


def describe(
    experiment: Experiment,
    clips: ClipSet,
    start: Start,
    *,
    name: str,
    command: str,
    changed: Sequence[str] = (),
) -> dict[str, Any]:
    """What `experiment.json` says of a run before it begins; its `identity` decides
    whose folder it is.
    """
    dtype = compute_dtype(experiment.dtype, jax.local_devices()[0].platform)
    identity = {
        **experiment.identity(),
        "dtype": np.dtype(dtype).name,
        **start.identity,
        "weights": experiment.model.file_hashes,
        "data_fingerprint": clips.fingerprint,
    }
    return {
        "name": name,
        "command": command,
        "experiment": experiment.resolved(),
        **({SMALL: list(changed)} if experiment.small else {}),
        "identity": identity,
        **marks(identity),
        "network": origin(experiment.model),
        "data": {**experiment.data.origin, **clips.summary()},
        **environment(),
    }


def clips_of(
    experiment: Experiment,
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
) -> ClipSet:
    """What an experiment sees of its data set, on each process.

    Raises: as `load`.
    """
    room = room_for(experiment.engine)
    clips = load_everywhere(experiment.data, say, stopping, room)
    return experiment.extract.of(clips, experiment.model.shapes)


def load_everywhere(
    data: DataConfig,
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
    room: float | None = None,
) -> ClipSet:
    """The clips of a data set, on each process: the first one prepares the set where
    need be; the others find it done. A set that another run is preparing is waited for.
    """

    with stage("preparing the data") as now:

        def watch(done: int, total: int | None) -> None:
            now.count(done, total)
            if stopping():
                raise KeyboardInterrupt

        def loaded() -> ClipSet:
            return load(data, watch=watch, say=say, stopping=stopping, room=room)

        first = hosts.first_then_all(loaded)
        return hosts.all_or_none(lambda: first or loaded())


def write_results(
    session: Session, results: Sequence[PackResult], run_dir: Path
) -> dict[str, Any]:
    """Predictions, metrics and reports of the tasks that the experiment asks for.

    Raises: AllDiverged if every task diverged; NotReported, with the metrics, if all
    but the report is written.
    """
    asked = results, set(session.tasks), session.folds, session.clips
    predictions, oracle = selected_predictions(*asked), oracle_predictions(*asked)
    metrics = account(session, results, predictions, oracle)
    write_scored(run_dir, predictions, metrics)
    shown = predictions.select(variant=metrics["variant"])
    special = str(getattr(session.experiment.data, "special", "none"))

    def report(folder: Path) -> None:
        write_looks(folder, session.clips, shown, special)
        write_report(folder)

    reported(report, run_dir, metrics)
    return metrics
