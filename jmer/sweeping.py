"""The cells of a sweep: planned, run, and gone on with."""

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
from jmer.files import make_folder, read_json, write_json
from jmer.outcome import AllDiverged
from jmer.plan import make_plan, memory_limit
from jmer.progress import View
from jmer.report.sweep import SWEEP, write_sweep
from jmer.run import load_everywhere, run
from jmer.rundir import DESCRIPTION, METRICS, first_difference
from jmer.session import Session, check_inputs
from jmer.sweep import Cell
from jmer.text import counted, duration
from jmer.train import hosts
from jmer.train.planner import measure

State = Literal["new", "begun", "finished"]


@dataclasses.dataclass(frozen=True)
class Planned:
    """A cell, and what is to be done for it."""

    cell: Cell
    folder: Path
    state: State
    folds: int = 0
    seconds: float | None = None
    """Predicted for all its training; None if not measured."""

    @property
    def tasks(self) -> int:
        experiment = self.cell.experiment
        return self.folds * len(experiment.seeds) * len(experiment.variant_values)

    def __str__(self) -> str:
        if self.state == "finished":
            return f"{self.cell.name}: finished"
        experiment = self.cell.experiment
        parts = [
            counted(self.folds, "fold"),
            counted(len(experiment.seeds), "seed"),
            counted(len(experiment.variant_values), "variant"),
        ]
        goes_on = ", begun before" if self.state == "begun" else ""
        return (
            f"{self.cell.name}: {counted(self.tasks, 'task')} ({', '.join(parts)}), "
            f"{_time(self.seconds)}{goes_on}"
        )


def run_sweep(
    cells: Sequence[Cell],
    *,
    chosen: Sequence[Cell],
    name: str,
    command: str,
    run_dir: Path,
    overwrite: bool,
    make_view: Callable[[], View],
    stopping: Callable[[], bool] = lambda: False,
) -> str | None:
    """Runs the chosen cells that are not finished, each in its folder in `run_dir`, and
    returns the report of all finished ones as Markdown (of several processes, the
    first).

    Raises: JmerError as `run`, or if `run_dir` is something else; KeyboardInterrupt
    once `stopping` says so.
    """
    hosts.first_then_all(lambda: _open(run_dir, cells, name, command, overwrite))
    view = make_view()
    plans = plan_sweep(chosen, run_dir, overwrite, view.say, stopping)
    for line in plan_text(plans, run_dir):
        view.say(line)
    view.close()
    for one in plans:
        if stopping():
            raise KeyboardInterrupt
        if one.state == "finished":
            continue
        view = make_view()
        view.say(f"cell {one.cell.name}")
        try:
            run(
                one.cell.experiment,
                name=f"{name}: {one.cell.name}",
                command=command,
                run_dir=one.folder,
                overwrite=overwrite,
                view=view,
                stopping=stopping,
            )
        except AllDiverged as error:  # of this cell; the others may learn
            view.say(f"cell {one.cell.name} has no result: {error}")
        jax.clear_caches()  # a program takes memory as long as it might be wanted
    return write_sweep(run_dir) if hosts.is_first() else None


def _open(
    folder: Path, cells: Sequence[Cell], name: str, command: str, overwrite: bool
) -> None:
    """Makes `folder` that of the sweep, or finds it to be that already.

    Raises: JmerError if it holds anything else.
    """
    file = folder / SWEEP
    if folder.exists() and not folder.is_dir():
        raise JmerError(f"run directory {folder} is a file: choose another.")
    if folder.exists() and any(folder.iterdir()) and not file.exists():
        raise JmerError(
            f"{folder} has files but no {SWEEP} of jmer: it is no sweep. Choose an "
            f"empty or new folder with --run-dir."
        )
    names = [cell.name for cell in cells]
    if file.exists() and not overwrite:
        gone = [c["name"] for c in read_json(file)["cells"] if c["name"] not in names]
        if gone:
            raise JmerError(
                f"{folder} is another sweep, with a cell {gone[0]!r}: choose another "
                f"--run-dir, or forget it with --overwrite."
            )
    described = [{"name": cell.name, "folder": cell.folder} for cell in cells]
    make_folder(folder)
    write_json(file, {"name": name, "command": command, "cells": described})


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

    def states() -> list[State]:
        found = zip(cells, folders, strict=True)
        return ["new" if overwrite else _state(c.experiment, f) for c, f in found]

    seen = hosts.gather_json(hosts.first_then_all(states))[0]
    measured: dict[str, float | None] = {}
    plans: list[Planned] = []
    data, clips = None, None
    for cell, folder, state in zip(cells, folders, seen, strict=True):
        experiment = cell.experiment
        if state == "finished":
            plans.append(Planned(cell, folder, state))
            continue
        if clips is None or experiment.data != data:
            data, clips = experiment.data, load_everywhere(experiment.data)
        check_inputs(experiment.model, clips)
        folds = make_folds(experiment.protocol, clips)
        one = Planned(cell, folder, state, len(folds))
        key = structure(experiment)
        if key not in measured and not stopping():
            measured[key] = _epoch_of_a_task(experiment, clips, folds, say)
            jax.clear_caches()
        seconds = measured.get(key)
        if seconds is not None:
            whole = seconds * one.tasks * experiment.epochs / jax.process_count()
            one = dataclasses.replace(one, seconds=whole)
        plans.append(one)
    return plans


def plan_text(plans: Sequence[Planned], run_dir: Path) -> list[str]:
    """The plan, line by line."""
    todo = [one for one in plans if one.state != "finished"]
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
                "times are of training, from a measured step of each structure; "
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
            del facts[part][name]
    return json.dumps(facts, sort_keys=True)


def _epoch_of_a_task(
    experiment: Experiment, clips: ClipSet, folds: Sequence[Fold], say
) -> float | None:
    """Seconds that a task takes for an epoch. None if that is not wanted
    (`engine.plan_seconds` is 0), or not cheap to know: what a network computes once for
    all tasks has to be there first.
    """
    engine = experiment.engine
    if engine.plan_seconds == 0 or experiment.model.has_prefix:
        return None
    session = Session(experiment, clips, folds)
    work = session.work(session.tasks)
    plan = make_plan(engine, work, say)
    seconds = plan.seconds
    if seconds is None:
        found = measure(plan.layout, work, memory_limit(engine), steps=1, repeats=1)
        seconds = found and found.seconds
    return None if seconds is None else seconds / len(session.tasks)


def _state(experiment: Experiment, folder: Path) -> State:
    """Raises: JmerError if `folder` is the run of another experiment."""
    file = folder / DESCRIPTION
    if not file.exists():
        return "new"
    found, wanted = read_json(file), experiment.resolved()
    # The type was resolved since; hashes of data and files are for the run to compare.
    theirs = {**found["identity"], "dtype": found["experiment"]["dtype"]}
    ours = experiment.identity()
    difference = first_difference({name: theirs.get(name) for name in ours}, ours)
    if difference:
        raise JmerError(
            f"{folder} is the run of another experiment: {difference}. Choose another "
            f"--run-dir, or replace the run with --overwrite."
        )
    if not (folder / METRICS).exists():
        return "begun"
    metrics = read_json(folder / METRICS)
    seeds = {*metrics["seeds"], *(task["seed"] for task in metrics["diverged"])}
    files = ("pretrained", "start_from")
    same = all(found["experiment"][name] == wanted[name] for name in files)
    same = same and found["identity"]["weights"] == experiment.model.file_hashes
    return "finished" if same and seeds == set(experiment.seeds) else "begun"
