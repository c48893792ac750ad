"""Finished runs and weights, for notebooks: plain arrays and dataclasses."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from jmer.errors import JmerError
from jmer.files import read_json
from jmer.models.base import network
from jmer.results import Predictions
from jmer.rundir import DESCRIPTION, METRICS, PREDICTIONS
from jmer.train.checkpoint import Checkpoints
from jmer.train.pack import PackResult, result_of
from jmer.train.tasks import Task
from jmer.weights import INDEX, Weights


@dataclasses.dataclass(frozen=True)
class TaskSummary:
    """One training of a run."""

    subject: str
    """Name of the fold: the held-out subject, under LOSO."""
    seed: int
    variant: int
    selected_epoch: int
    """Epoch whose weights were kept and tested."""
    diverged: bool
    loss: np.ndarray
    """Mean training loss of the epoch before each evaluation, nats [e]."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    >>> run = jmer.load_run("runs/ststnet")            # doctest: +SKIP
    >>> run.metrics["uf1"]                             # doctest: +SKIP
    >>> run.model(subject="sub01", seed=0)(flow)       # doctest: +SKIP
    """

    folder: Path

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return read_json(self.folder / METRICS)

    @functools.cached_property
    def experiment(self) -> dict[str, Any]:
        """The content of `experiment.json`."""
        return read_json(self.folder / DESCRIPTION)

    @functools.cached_property
    def predictions(self) -> Predictions:
        """The test predictions, an array a column."""
        return Predictions.load(self.folder / PREDICTIONS)

    @functools.cached_property
    def tasks(self) -> tuple[TaskSummary, ...]:
        """The trainings, by seed and then fold."""
        summaries = [
            TaskSummary(
                subject=task.fold,
                seed=task.seed,
                variant=task.variant,
                selected_epoch=int(pack.selected[i]),
                diverged=not bool(pack.alive[-1, i]),
                loss=pack.loss[:, i],
            )
            for pack in self.packs
            for i, task in enumerate(pack.tasks)
        ]
        return tuple(sorted(summaries, key=lambda t: (t.seed, t.subject, t.variant)))

    @functools.cached_property
    def weights(self) -> Weights:
        """The weights of all trainings, at their selected epochs.

        Raises: JmerError if the run trained nothing, as an evaluation does not.
        """
        if not self.packs:
            raise JmerError(
                f"{self.folder} has no trained weights: it is an evaluation, or its "
                f"checkpoints were deleted."
            )
        fields = dict(self.experiment["experiment"]["model"])
        paths = self.packs[0].weights
        return Weights(
            config=network(fields.pop("name"), fields),
            classes=tuple(self.experiment["data"]["classes"]),
            tasks=tuple(task for pack in self.packs for task in pack.tasks),
            arrays={
                path: np.concatenate([pack.weights[path] for pack in self.packs])
                for path in paths
            },
            sources=(str(self.folder.absolute()),),
        )

    def params(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> dict[str, Any]:
        """The parameters of one training, a nested dictionary of arrays."""
        return self.weights.params(subject=subject, seed=seed, variant=variant)

    def model(
        self, *, subject: str, seed: int | None = None, variant: int = 0
    ) -> nnx.Module:
        """The network of one training in evaluation mode, callable on arrays."""
        return self.weights.model(subject=subject, seed=seed, variant=variant)

    @functools.cached_property
    def packs(self) -> list[PackResult]:
        """What each program recorded: its tasks, at each evaluation."""
        packs = []
        for folder in sorted((self.folder / "checkpoints").glob("pack-*")):
            checkpoints = Checkpoints(folder)
            try:
                if checkpoints.epoch is None:
                    continue
                _, arrays, meta = checkpoints.restore()
            finally:
                checkpoints.close()
            if meta["finished"]:
                tasks = [Task(**task) for task in meta["tasks"]]
                packs.append(result_of(arrays, tasks, meta["seconds"]))
        return packs


def load_run(folder: str | Path) -> Run:
    """The run in a directory.

    Raises: JmerError if it is no run, or is not finished.
    """
    folder = Path(folder)
    for name in (DESCRIPTION, METRICS):
        if not (folder / name).is_file():
            raise JmerError(
                f"{folder} has no {name}: it is no finished run. `jmer run FILE "
                f"--run-dir {folder}` makes or finishes one."
            )
    return Run(folder)


def load_model(folder: str | Path) -> Weights:
    """Imported weights: `.params(subject=…)` and `.model(subject=…)`.

    Raises: JmerError if the folder holds none.
    """
    return Weights.load(Path(folder))


def read_weights(folder: Path) -> Weights:
    """Weights from either an import or a finished run.

    Raises: JmerError if the folder is neither.
    """
    if (folder / INDEX).is_file():
        return Weights.load(folder)
    if (folder / DESCRIPTION).is_file():
        return load_run(folder).weights
    raise JmerError(
        f"{folder} holds neither imported weights ({INDEX}) nor a run "
        f"({DESCRIPTION}). `jmer weights import` makes the former, `jmer run` the "
        f"latter."
    )
