"""What a sweep is about to do: its cells, their tasks, and the time they will take."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, make_folds
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.files import Changed, read_json
from jmer.nn.lowering.choice import current
from jmer.runner.features import seen_by_tasks
from jmer.runner.feeding import first_plan, room_for, whole
from jmer.runner.plan import memory_limit
from jmer.runner.run import load_everywhere
from jmer.runner.session import Session, check_inputs
from jmer.runs.folder import DESCRIPTION, METRICS, first_difference, is_untrained
from jmer.runs.older import renewed
from jmer.sweep.cells import Cell
from jmer.text import counted, duration
from jmer.train import hosts
from jmer.train.planner import measure

Stage = Literal["new", "begun", "finished"]


@dataclasses.dataclass(frozen=True)
class Planned:
    """A cell, and what is to be done for it."""

    cell: Cell
    folder: Path
    stage: Stage
    folds: int = 0
    seconds: float | None = None
    """Predicted for all its training; None if not measured."""

    @property
    def tasks(self) -> int:
        experiment = self.cell.experiment
        return self.folds * len(experiment.seeds) * len(experiment.variant_values)

    def __str__(self) -> str:
        if self.stage == "finished":
            return f"{self.cell.name}: finished"
        experiment = self.cell.experiment
        parts = [
            counted(self.folds, "fold"),
            counted(len(experiment.seeds), "seed"),
            counted(len(experiment.variant_values), "variant"),
        ]
        goes_on = ", begun before" if self.stage == "begun" else ""
        return (
            f"{self.cell.name}: {counted(self.tasks, 'task')} ({', '.join(parts)}), "
            f"{_time(self.seconds)}{goes_on}"
        )


def plan_sweep(
    cells: Sequence[Cell],
    run_dir: Path,
    overwrite: bool,
    say: Callable[[str], Any],
    stopping: Callable[[], bool],
) -> list[Planned]:
    """What is to be done for each cell: one step of each structure is measured.

    Raises: JmerError if a folder is the run of another experiment, or a cell's data
    cannot be used.
    """
    folders = [run_dir / cell.folder for cell in cells]

    def stages() -> list[Stage]:
        found = zip(cells, folders, strict=True)
        return ["new" if overwrite else _stage(c.experiment, f) for c, f in found]

    seen = hosts.gather_json(hosts.first_then_all(stages))[0]
    begun = any(not is_untrained(folder) for folder in folders)
    measured: dict[str, float | None] = {}
    plans: list[Planned] = []
    data, clips = None, None
    for cell, folder, stage in zip(cells, folders, seen, strict=True):
        experiment = cell.experiment
        if stage == "finished":
            plans.append(Planned(cell, folder, stage))
            continue
        if clips is None or experiment.data != data:
            room = room_for(experiment.engine)
            data, clips = experiment.data, load_everywhere(experiment.data, room=room)
        seen = experiment.extract.of(clips, experiment.model.shapes)
        check_inputs(experiment.model, seen)
        folds = make_folds(experiment.protocol, seen)
        one = Planned(cell, folder, stage, len(folds))
        key = structure(experiment)
        if key not in measured and not stopping():
            measured[key] = _epoch_of_a_task(cell, seen, folds, say, begun)
            jax.clear_caches()
        seconds = measured.get(key)
        if seconds is not None:
            whole = seconds * one.tasks * experiment.epochs / hosts.count()
            one = dataclasses.replace(one, seconds=whole)
        plans.append(one)
    return plans


def plan_text(plans: Sequence[Planned], run_dir: Path) -> list[str]:
    """The plan, line by line."""
    todo = [one for one in plans if one.stage != "finished"]
    lines = [
        f"sweep in {run_dir}: {counted(len(plans), 'cell')}, "
        f"{len(plans) - len(todo)} finished",
        *(f"  {one}" for one in plans),
    ]
    if todo:
        known = [one.seconds for one in todo if one.seconds is not None]
        total = sum(known) if len(known) == len(todo) else None
        lines.append(
            f"to run: {counted(len(todo), 'program')}, "
            f"{counted(sum(one.tasks for one in todo), 'task')}, {_time(total)}"
        )
        if known:
            lines.append(
                "times are of whole trainings, from a measured step of each structure; "
                "compiling comes on top"
            )
    return lines


def _time(seconds: float | None) -> str:
    return "time not measured" if seconds is None else f"about {duration(seconds)}"


def structure(experiment: Experiment) -> str:
    """What the time of a step depends on, and no more: experiments that agree in it
    differ in numbers alone.
    """
    facts = experiment.identity()
    del facts["variants"], facts["epochs"]
    for part, config in experiment.parts.items():
        for name in config.values:
            facts[part].pop(name, None)
    return json.dumps(facts, sort_keys=True)


def _epoch_of_a_task(
    cell: Cell,
    clips: ClipSet,
    folds: Sequence[Fold],
    say: Callable[[str], Any],
    begun: bool,
) -> float | None:
    """Seconds that a task takes for an epoch. None if that is not wanted
    (`engine.plan_seconds` is 0), or not cheap to know: what a network computes once for
    all tasks has to be there first.
    """
    experiment, engine = cell.experiment, cell.experiment.engine
    if engine.plan_seconds == 0 or experiment.model.has_prefix:
        return None
    say(f"measuring a step of cell {cell.name}")
    seen = seen_by_tasks(experiment.model, clips, current(), say)
    session = Session(experiment, clips, folds, seen)
    work = session.work(session.tasks)
    limit = memory_limit(engine)
    work, plan = first_plan(engine, work, limit, say, begun=begun)
    if plan.seconds is not None:
        return plan.seconds / len(work.tasks)
    if plan.block is not None:
        return None
    work = whole(work)
    found = measure(plan.layout, work, limit, steps=1, repeats=1)
    return None if found is None else found.seconds / len(session.tasks)


def _stage(experiment: Experiment, folder: Path) -> Stage:
    """Raises: JmerError if `folder` is the run of another experiment, or damaged."""
    file = folder / DESCRIPTION
    if not file.exists():
        return "new"
    try:
        # A description that was damaged is written anew, if it says the same.
        found = renewed(read_json(file, changed=True))
        return _stage_of_run(experiment, folder, found)
    except (KeyError, TypeError) as error:
        raise JmerError(
            f"{file} or {METRICS} beside it was edited, or written by another version "
            f"of jmer: restore it, or remove {folder}, and it runs again."
        ) from error


def _stage_of_run(experiment: Experiment, folder: Path, found: dict[str, Any]) -> Stage:
    # The type was resolved since; hashes of data and files are for the run to compare.
    theirs = {**found["identity"], "dtype": found["experiment"]["dtype"]}
    ours = experiment.identity()
    difference = first_difference({name: theirs.get(name) for name in ours}, ours)
    if difference and is_untrained(folder):
        return "new"
    if difference:
        raise JmerError(
            f"{folder} is the run of another experiment: {difference}. Choose another "
            f"--run-dir, or replace the run with --overwrite."
        )
    if not (folder / METRICS).exists():
        return "begun"
    wanted = experiment.resolved()
    same = found["identity"]["weights"] == experiment.model.file_hashes
    for name in ("pretrained", "start_from"):
        same = same and found["experiment"][name] == wanted[name]
    try:
        metrics = read_json(folder / METRICS)
    except Changed:  # it is written anew
        return "begun"
    seeds = {*metrics["seeds"], *(task["seed"] for task in metrics["diverged"])}
    return "finished" if same and seeds == set(experiment.seeds) else "begun"
