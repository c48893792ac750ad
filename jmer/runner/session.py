"""The tasks of an experiment on this machine: laid out in packs."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.lowering.choice import default
from jmer.runner.feeding import first_plan
from jmer.runner.forecast import forecast
from jmer.runner.laid_out import (
    Pack,
    Packs,
    fits_here,
    laid_out,
    new_packs,
)
from jmer.runner.plan import Plan, fit, fit_plan, memory_limit
from jmer.runner.stages import COMPILES, stage
from jmer.runner.start import Start
from jmer.runs.arrangement import Arrangement, read_arrangement
from jmer.runs.folder import ARRANGEMENT, RUN, is_untrained, run_of
from jmer.runs.held_out import held_out
from jmer.runs.packs import SavedPack, place_of, read_packs
from jmer.runs.weights import held_out_note, read_held_out
from jmer.text import counted
from jmer.train import hosts
from jmer.train.batches import BatchPlan
from jmer.train.checkpoint import drop_superseded
from jmer.train.mesh import compute_dtype
from jmer.train.planner import widest
from jmer.train.probe import Work
from jmer.train.step import Data, Trainer
from jmer.train.tasks import InnerSplit, Task, divided, make_table, training_sizes
from jmer.train.variants import columns


def check_inputs(network: NetworkConfig, clips: ClipSet) -> None:
    """Raises: JmerError if the set lacks a feature of the network, or its shape."""
    for feature, shape in zip(network.inputs, network.input_shapes, strict=True):
        if feature not in clips.inputs:
            raise JmerError(
                f"{network.name} needs {feature}, but {clips.name} has "
                f"{', '.join(clips.inputs)}: choose another data set or recipe."
            )
        found = clips.inputs[feature].shape[1:]
        if found != shape:
            raise JmerError(
                f"{network.name} takes {feature} of shape {shape}, but that of "
                f"{clips.name} is {found}: change the model's size or the recipe."
            )


class Session:
    """The tasks of an experiment on this machine.

    `seen` is what they see of the clips, as `seen_by_tasks` returns it, and `start`
    what they begin with, random weights without it.
    """

    def __init__(
        self,
        experiment: Experiment,
        clips: ClipSet,
        folds: Sequence[Fold],
        seen: Inputs,
        start: Start | None = None,
    ):
        self.experiment = experiment
        self.clips = clips
        self.folds = folds
        self.variants = experiment.variant_values
        self.tasks = [
            Task(seed, fold.name, variant)
            for seed in experiment.seeds
            for variant in range(len(self.variants))
            for fold in folds
        ]
        self.start = start or Start()
        self.data = Data.of(seen, clips.label)
        self.device = jax.local_devices()[0]
        dtype = compute_dtype(experiment.dtype, self.device.platform)
        self.dtype_name = np.dtype(dtype).name
        sizes = training_sizes(folds, clips, _inner_split(experiment))
        self.trainer = Trainer(
            network=experiment.model,
            classes=len(clips.classes),
            dtype=dtype,
            optim=experiment.optim,
            epochs=experiment.epochs,
            plan=BatchPlan.of(
                experiment.batches,
                experiment.batch_size,
                len(clips),
                *sizes,
                sampling=experiment.sampling,
                versions=experiment.model.versions,
            ),
            inner=(
                experiment.inner_criterion if experiment.selection == "inner" else None
            ),
            lowering=default(self.device.platform),
            loss=experiment.loss,
            ema=experiment.ema,
            patience=experiment.patience,
        )

    @functools.cached_property
    def training_clips(self) -> float:
        """Clips that a task learns from in an epoch, on average, in all versions."""
        versions = self.experiment.model.versions
        folds = as_divided(self.experiment, self.folds, self.clips)
        return versions * float(np.mean([len(learnt) for learnt, _ in folds]))

    def held_out(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """What these tasks are kept from, to be saved with their weights."""
        wanted = {task.fold for task in tasks}
        folds = [fold for fold in self.folds if fold.name in wanted]
        return held_out_note(held_out(folds, self.clips))

    def work(self, tasks: Sequence[Task]) -> Work:
        """These tasks, as the planner wants them."""
        experiment = self.experiment
        values = columns(self.variants, experiment.parts)
        inner = _inner_split(experiment)
        table = make_table(tasks, self.folds, self.clips, inner=inner, values=values)
        return Work(
            self.trainer,
            tuple(tasks),
            table,
            self.data,
            experiment.epochs,
            experiment.eval_every,
        )

    def plan(
        self,
        folder: Path,
        say: Callable[[str], Any],
        planned: Callable[[dict[str, Any]], Any] = lambda record: None,
    ) -> Packs:
        """The packs of all tasks, as they are saved in `folder` or were laid out when
        the run began; new tasks are laid out in packs of their own, and `planned` is
        told how.

        Raises: JmerError if processes see different packs, or a task needs more memory
        than there is.
        """
        saved = read_packs(folder)
        self._require_same_folds(saved)
        if hosts.is_first():
            for pack in saved:
                if pack.result is not None:
                    drop_superseded(pack.folder)
        before = read_arrangement(folder)
        known = sorted(task for pack in saved for task in pack.tasks)
        if saved and not before.packs and any(RUN in pack.notes for pack in saved):
            say(
                f"{folder / ARRANGEMENT} is gone: what is left is laid out anew, and "
                f"may differ in the last digits from a run that was never interrupted"
            )
        seen = [dataclasses.astuple(task) for task in known]
        hosts.require_agreement([seen, [p.name for p in before.packs]], folder)
        packs = laid_out(saved, before.packs, keep=self._keeps(before, set(known)))
        there = {task for pack in packs for task in pack.tasks}
        new = [task for task in self.tasks if task not in there]
        if new:
            plan, size = self._plan(new, say, begun=not is_untrained(folder.parent))
            packs += new_packs(packs, new, plan, size)
            layout = Arrangement(self._chosen_for, tuple(packs))
            # In this order: where there is a layout, nobody is told of it again.
            planned({**plan.record(), "tasks": len(new), "tasks_per_pack": size})
            hosts.first_then_all(lambda: layout.write(folder))
        results, own = (
            {place_of(pack.folder): pack.result for pack in saved},
            run_of(folder.parent),
        )
        todo = [
            Pack(
                number=pack.number,
                folder=folder / pack.name,
                tasks=list(pack.tasks),
                plan=Plan.of(pack.plan),
                run=own,
            )
            for pack in packs
            if results.get(pack.name) is None
            and (pack.name in results or not set(self.tasks).isdisjoint(pack.tasks))
        ]
        return Packs([r for r in results.values() if r is not None], todo)

    @property
    def _chosen_for(self) -> dict[str, Any]:
        """What a layout answers to: with other options, tasks are laid out anew."""
        engine = dataclasses.asdict(self.experiment.engine)
        del engine["plan_seconds"], engine["checkpoint_seconds"]
        if engine["data"] == "auto":  # older versions know no other
            del engine["data"]
        return {"engine": engine, "device": self.device.device_kind}

    def _keeps(self, before: Arrangement, saved: set[Task]) -> set[str]:
        """The names of the packs of which nothing is saved that stay as they were laid
        out; the first process's word counts."""
        names = [
            pack.name
            for pack in before.packs
            if before.chosen_for == self._chosen_for
            and saved.isdisjoint(pack.tasks)
            and fits_here(pack)
        ]
        return set(hosts.gather_json(names)[0])

    def _require_same_folds(self, saved: Sequence[SavedPack]) -> None:
        """Raises: JmerError if a checkpoint was kept from other clips than its folds
        test."""
        tested = held_out(self.folds, self.clips)
        for pack in saved:
            for fold, own in (read_held_out([pack.notes]) or {}).items():
                if tested.get(fold, own) != own:
                    raise JmerError(
                        f"{pack.folder} was kept from other clips than those that fold "
                        f"{fold} tests: it is of another run. Delete it to train its "
                        f"tasks again."
                    )

    def _plan(
        self, tasks: list[Task], say: Callable[[str], Any], *, begun: bool = False
    ) -> tuple[Plan, int]:
        """The layout of new tasks, and how many of them train in one program."""
        if self.experiment.optim.fits:
            return fit_plan(), math.ceil(len(tasks) / hosts.count())
        engine, work = self.experiment.engine, self.work(tasks)
        limit = memory_limit(engine)
        with stage("planning"):
            if hosts.is_first():
                share = math.ceil(len(tasks) / hosts.count())
                expected = forecast(engine, work, share)
                if expected is not None and expected.long:
                    say(str(expected))
            work, plan = first_plan(engine, work, limit, say, begun=begun)
        # Machines of one kind, measured apart: the first one's word counts.
        plan = Plan.of(hosts.gather_json(plan.record())[0])
        with stage("compiling", COMPILES):
            plan, per_device = fit(plan, work, limit, say, engine)
        _say_repeats(plan, work, say)
        if plan.seconds is not None:
            seconds = plan.seconds * len(tasks) / len(work.tasks)
            plan = dataclasses.replace(plan, seconds=seconds)
        if engine.strategy == "loop":
            per_device = 1
        elif engine.pack is not None:
            per_device = min(per_device, engine.pack)
        share = math.ceil(len(tasks) / hosts.count())
        size = min(per_device * plan.layout.devices, share)
        # The one with the least memory decides.
        told = hosts.gather_json([size, plan.layout.chunk, plan.record()])
        size, _, record = min(told, key=lambda one: one[:2])
        return Plan.of(record), size


def _say_repeats(plan: Plan, work: Work, say: Callable[[str], Any]) -> None:
    """Says that a chunk is wider than its tasks, so that most rows repeat one.

    It stays as wide as it was asked for: a number's last bits depend on it.
    """
    rows, count = len(plan.program(work).rows(work.tasks)), len(work.tasks)
    filled = widest(work.tasks, plan.layout.devices)
    if filled < plan.layout.chunk and rows >= 2 * count:
        say(
            f"{rows} trainings for {counted(count, 'task')}: a chunk has folds of one "
            f"seed, and repeats of them where it is wider. --engine.chunk {filled} "
            f"is filled."
        )


def as_divided(
    experiment: Experiment, folds: Sequence[Fold], clips: ClipSet
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each fold, for the first seed: clips that are learnt from, and those that
    choose the epoch."""
    inner, first = _inner_split(experiment), experiment.seeds[0]
    return [divided(Task(first, fold.name), fold, clips, inner) for fold in folds]


def _inner_split(experiment: Experiment) -> InnerSplit | None:
    """Which clips choose the epoch; None if the last one is tested."""
    if experiment.selection == "last":
        return None
    protocol = experiment.protocol
    by_split = experiment.inner_draw == "split"
    return InnerSplit(
        experiment.inner_fraction,
        experiment.inner_unit,
        getattr(protocol, "split_seed", 0) if by_split else None,
        getattr(protocol, "rounding", "class"),
    )
