"""Small programs for the tests of the engine."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmer import trees
from jmer.data.clips import ClipSet
from jmer.data.splits import Loso, Protocol, make_folds
from jmer.models.base import NetworkConfig
from jmer.models.ststnet import STSTNetConfig
from jmer.nn.lowering.choice import Lowering
from jmer.optim import OptimConfig, SgdConfig
from jmer.train.batches import BatchPlan, Mode, Sampling
from jmer.train.checkpoint import Checkpoints
from jmer.train.folds import Program
from jmer.train.mesh import make_mesh
from jmer.train.objective import PLAIN, LossConfig
from jmer.train.pack import PackResult, Progress, Schedule, train_pack
from jmer.train.step import Data, Record, TaskState, Trainer
from jmer.train.tasks import InnerSplit, Task, TaskTable, make_table, training_sizes

NETWORK = STSTNetConfig(size=7, filters=(2, 3))
# Adam turns rounding into real steps where a gradient is zero: packs are compared
# under SGD.
SGD = SgdConfig(lr=0.05, momentum=0.9)
LOSO = Loso()
INNER = InnerSplit(0.3)


def make_program(
    clips: ClipSet,
    *,
    mode: Mode = "own",
    chunk: int = 2,
    devices: int = 1,
    inner: bool = False,
    optim: OptimConfig = SGD,
    dtype: Any = jnp.float32,
    lowering: Lowering = "patches",
    batch_size: int = 4,
    evaluations: int = 1,
    network: NetworkConfig = NETWORK,
    sampling: Sampling = "shuffled",
    loss: LossConfig = PLAIN,
    ema: float = 0.0,
    patience: int = 0,
    protocol: Protocol = LOSO,
) -> Program:
    split = INNER if inner else None
    sizes = training_sizes(make_folds(protocol, clips), clips, split)
    plan = BatchPlan.of(
        *(mode, batch_size, len(clips), *sizes),
        sampling=sampling,
        versions=network.versions,
    )
    return _program(
        *(network, plan, chunk, devices, inner, optim, dtype, lowering, evaluations),
        *(loss, ema, patience),
    )


@functools.cache  # programs of equal sizes are compiled once for all tests
def _program(
    network: NetworkConfig,
    plan: BatchPlan,
    chunk: int,
    devices: int,
    inner: bool,
    optim: OptimConfig,
    dtype: Any,
    lowering: Lowering,
    evaluations: int,
    loss: LossConfig,
    ema: float,
    patience: int,
) -> Program:
    trainer = Trainer(
        network=network,
        classes=3,
        dtype=dtype,
        optim=optim,
        epochs=10,
        plan=plan,
        inner="uf1" if inner else None,
        lowering=lowering,
        loss=loss,
        ema=ema,
        patience=patience,
    )
    return Program(trainer, make_mesh(devices), chunk, evaluations)


forget_programs = _program.cache_clear


def table_of(
    program: Program,
    clips: ClipSet,
    tasks: Sequence[Task],
    values: Mapping[str, Sequence[float]] | None = None,
    protocol: Protocol = LOSO,
) -> TaskTable:
    return make_table(
        tasks,
        make_folds(protocol, clips),
        clips,
        inner=INNER if program.trainer.inner else None,
        values=values,
    )


def tasks_of(clips: ClipSet, seeds: Sequence[int] = (0,)) -> list[Task]:
    return [Task(seed, s) for seed in seeds for s in np.unique(clips.subject).tolist()]


def train(
    program: Program,
    clips: ClipSet,
    tasks: Sequence[Task],
    epochs: int = 3,
    values: Mapping[str, Sequence[float]] | None = None,
    protocol: Protocol = LOSO,
) -> tuple[TaskState, Record]:
    """Final states and the last record of `tasks`, on the host."""
    rows = program.rows(tasks)
    own = np.unique(rows, return_index=True)[1]
    whole = table_of(program, clips, tasks, values, protocol)
    table = jax.device_put(trees.take(whole, rows), program.per_task)
    data = jax.device_put(Data.of(clips.inputs, clips.label), program.shared)
    states = program.first_states(table.key)
    advance = program.compiled(table, data)
    for epoch in range(epochs):
        numbers = np.int32(epoch), np.ones(1, np.int32)
        numbers = jax.device_put(numbers, program.shared)
        states, record = advance(states, table, data, *numbers)
    record = jax.tree.map(lambda x: x[0], record)
    return jax.tree.map(lambda x: np.asarray(x)[own], (states, record))


def train_saved(
    program: Program,
    clips: ClipSet,
    tasks: Sequence[Task],
    checkpoints: Checkpoints,
    *,
    epochs: int = 4,
    watch: Callable[[Progress], Any] = lambda p: None,
    start: Mapping[str, np.ndarray] | None = None,
) -> PackResult:
    """The result of a pack that saves at every evaluation."""
    return train_pack(
        program,
        tasks,
        table_of(program, clips, tasks),
        Data.of(clips.inputs, clips.label),
        checkpoints,
        Schedule(epochs, eval_every=1, checkpoint_seconds=0),
        watch,
        start=start,
    )


def assert_trees_equal(a: Any, b: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_trees_close(
    a: Any, b: Any, *, rtol: float = 2e-4, atol: float = 2e-5
) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol, atol), a, b)


def row(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda x: x[index], tree)


def trees_differ(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return any((x != y).any() for x, y in pairs)


class Killed(Exception):
    """Stands for a process that ends without a word."""


def result(
    program: Program,
    clips: ClipSet,
    tasks: Sequence[Task],
    folder: Path,
    **options: Any,
) -> PackResult:
    checkpoints = Checkpoints(folder)
    try:
        return train_saved(program, clips, tasks, checkpoints, **options)
    finally:
        checkpoints.close()


def assert_same(a: PackResult, b: PackResult) -> None:
    assert a.tasks == b.tasks
    assert_trees_equal(a.weights, b.weights)
    names = ("epoch", "alive", "loss", "test_logits", "inner_uf1", "inner_loss")
    for name in (*names, "selected"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def assert_resumes(
    program: Program, clips: ClipSet, tasks: Sequence[Task], folder: Path
) -> PackResult:
    """That a training which is killed after its second epoch, the first being saved,
    ends as one that never was, to the bit. Returns what it found."""
    whole = result(program, clips, tasks, folder / "whole", epochs=3)

    def kill(progress: Progress) -> None:
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        result(program, clips, tasks, folder / "cut", epochs=3, watch=kill)
    epochs: list[int] = []
    resumed = result(
        program,
        clips,
        tasks,
        folder / "cut",
        epochs=3,
        watch=lambda progress: epochs.append(progress.epoch),
    )
    assert epochs == [2, 3]
    assert_same(whole, resumed)
    return whole
