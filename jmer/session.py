"""The tasks of an experiment on this machine: laid out, trained, resumed."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.experiment import EngineConfig, Experiment
from jmer.models.base import NetworkConfig
from jmer.outcome import test_accuracy
from jmer.progress import View
from jmer.rundir import EventLog
from jmer.train.batches import BatchPlan
from jmer.train.checkpoint import Checkpoints
from jmer.train.folds import Program, Strategy
from jmer.train.mesh import compute_dtype, make_mesh
from jmer.train.pack import PackResult, Progress, Schedule, result_of, train_pack
from jmer.train.step import Data, Trainer
from jmer.train.tasks import Task, make_table


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
    """The tasks of an experiment on this machine."""

    def __init__(self, experiment: Experiment, clips: ClipSet, folds: Sequence[Fold]):
        self.experiment = experiment
        self.clips = clips
        self.folds = folds
        self.tasks = [
            Task(seed, fold.name) for seed in experiment.seeds for fold in folds
        ]
        self.mesh = make_mesh(experiment.engine.devices)
        dtype = compute_dtype(experiment.dtype, self.mesh)
        self.dtype_name = np.dtype(dtype).name
        strategy, self.pack = layout(
            experiment.engine, self.mesh.devices.flat[0].platform
        )
        largest = max(len(fold.train) for fold in folds)
        trainer = Trainer(
            network=experiment.model,
            classes=len(clips.classes),
            dtype=dtype,
            optimiser=experiment.optim.transform(),
            plan=BatchPlan.of(
                experiment.batches, experiment.batch_size, len(clips), largest
            ),
            inner=experiment.selection == "inner",
        )
        self.program = Program(trainer, self.mesh, strategy)
        inputs = {name: clips.inputs[name] for name in experiment.model.inputs}
        self.data = Data(inputs, clips.label)

    @property
    def training_clips(self) -> float:
        """Clips that a fold trains on in an epoch, on average."""
        return float(np.mean([len(fold.train) for fold in self.folds]))

    def plan(self) -> dict[str, Any]:
        """How the work is laid out, for the record."""
        return {
            "tasks": len(self.tasks),
            "strategy": self.program.strategy,
            "devices": self.mesh.size,
            "tasks_per_device": self.pack
            or math.ceil(len(self.tasks) / self.mesh.size),
            "batches": dataclasses.asdict(self.program.trainer.plan),
            "dtype": self.dtype_name,
        }

    def train(
        self, folder: Path, view: View, log: EventLog, stopping: Callable[[], bool]
    ) -> list[PackResult]:
        """The results of all tasks; those finished in `folder` are only read."""
        results: list[PackResult] = []
        unfinished: list[tuple[Path, list[Task]]] = []
        for pack in sorted(folder.glob("pack-*")):
            checkpoints = Checkpoints(pack)
            if checkpoints.epoch is not None:
                _, arrays, meta = checkpoints.restore()
                tasks = [Task(**task) for task in meta["tasks"]]
                if meta["finished"]:
                    results.append(result_of(arrays, tasks, meta["seconds"]))
                else:
                    unfinished.append((pack, tasks))
            checkpoints.close()
        known = {t for r in results for t in r.tasks}
        known |= {t for _, tasks in unfinished for t in tasks}
        todo = unfinished + self._new_packs(folder, known)
        done = sum(len(r.tasks) for r in results)
        if not todo:
            view.say(f"all {done} tasks of this run are finished; nothing to train")
            return results
        self._announce(view, done, sum(len(tasks) for _, tasks in todo))
        for pack, tasks in todo:
            results.append(self._train_pack(pack, tasks, view, log, stopping))
            view.finished(len(tasks))
        return results

    def _new_packs(self, folder: Path, known: set[Task]):
        new = [task for task in self.tasks if task not in known]
        size = len(new) if self.pack is None else self.pack * self.mesh.size
        taken = [int(p.name.split("-")[1]) for p in folder.glob("pack-*")]
        first = max(taken, default=-1) + 1
        return [
            (folder / f"pack-{first + i:04d}", new[start : start + size])
            for i, start in enumerate(range(0, len(new), size or 1))
        ]

    def _announce(self, view: View, done: int, left: int) -> None:
        plan = self.plan()
        view.say(
            f"{left} tasks to train ({len(self.folds)} folds, seeds "
            f"{' '.join(map(str, self.experiment.seeds))}; {done} done) on "
            f"{plan['devices']} {self.mesh.devices.flat[0].device_kind} device(s), "
            f"{plan['tasks_per_device']} at a time each ({plan['strategy']}), "
            f"{plan['dtype']}, {self.experiment.batches} batches"
        )
        view.begin(done + left, done, self.experiment.epochs, self.training_clips)

    def _train_pack(self, folder: Path, tasks, view: View, log: EventLog, stopping):
        experiment = self.experiment
        number = int(folder.name.split("-")[1])
        table = make_table(
            tasks,
            self.folds,
            self.clips,
            selection=experiment.selection,
            inner_fraction=experiment.inner_fraction,
        )
        before = [0]

        def watch(progress: Progress) -> None:
            record, epoch = progress.record, progress.epoch
            loss = mean_of(record.loss[record.alive])
            view.evaluated(len(tasks), epoch, epoch - before[0], loss or math.nan)
            before[0] = epoch
            log.write(
                event="evaluation",
                pack=number,
                tasks=len(tasks),
                epoch=epoch,
                loss=loss,
                test_acc=test_accuracy(record, tasks, self.folds, self.clips),
                inner_uf1=mean_of(record.inner_uf1[record.alive]),
                diverged=int((~record.alive).sum()),
                seconds=round(progress.seconds, 4),
            )

        schedule = Schedule(
            experiment.epochs,
            experiment.eval_every,
            experiment.engine.checkpoint_seconds,
        )
        checkpoints = Checkpoints(folder)
        before[0] = checkpoints.epoch or 0
        try:
            result = train_pack(
                self.program,
                tasks,
                table,
                self.data,
                checkpoints,
                schedule,
                watch,
                stopping,
            )
        finally:
            checkpoints.close()
        for i, task in enumerate(tasks):
            log.write(
                event="task",
                **dataclasses.asdict(task),
                selected_epoch=int(result.selected[i]),
                diverged=not bool(result.alive[-1, i]),
                time=time.time(),
            )
        return result


def mean_of(values: np.ndarray) -> float | None:
    """The mean of the finite values, for JSON; None without one."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def layout(engine: EngineConfig, platform: str) -> tuple[Strategy, int | None]:
    """Strategy inside a device, and tasks per device (None: all)."""
    if engine.strategy == "auto":
        return ("map" if platform == "cpu" else "vmap"), engine.pack
    if engine.strategy == "loop":
        return "map", 1
    return engine.strategy, engine.pack
