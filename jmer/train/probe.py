"""A layout, compiled and ready to be timed."""

import dataclasses
import functools
import re
import time

import jax
import jax.numpy as jnp
import numpy as np

from jmer import trees
from jmer.nn.lowering.choice import Lowering
from jmer.train.folds import Program, device_bytes
from jmer.train.mesh import make_mesh
from jmer.train.multiplications import multiplications
from jmer.train.step import Data, TaskState, Trainer
from jmer.train.tasks import Task, TaskTable


@dataclasses.dataclass(frozen=True)
class Layout:
    """A way to run a pack; no number depends on it, but for rounding."""

    devices: int
    chunk: int  # tasks side by side on a device
    lowering: Lowering
    remat: bool = False  # layers make their values anew for the gradients
    accumulate: int = 1  # parts of a batch, one after another

    def trainer(self, trainer: Trainer) -> Trainer:
        """The training of a task as this layout has it.

        Raises: UsageError if its batches must not go through in parts.
        """
        trainer = dataclasses.replace(
            trainer,
            lowering=self.lowering,
            remat=self.remat,
            accumulate=self.accumulate,
        )
        trainer.require_parts()
        return trainer

    def program(self, trainer: Trainer, evaluations: int = 1) -> Program:
        mesh = make_mesh(self.devices)
        return Program(self.trainer(trainer), mesh, self.chunk, evaluations)

    def __str__(self) -> str:
        return (
            f"{self.devices} device{'s' * (self.devices > 1)}, "
            f"{self.chunk} at a time on each, {self.lowering}"
            + ", layers made anew for gradients" * self.remat
            + f", batches in {self.accumulate} parts" * (self.accumulate > 1)
        )


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be laid out."""

    trainer: Trainer
    tasks: tuple[Task, ...]
    table: TaskTable
    data: Data
    epochs: int
    eval_every: int

    def first(self, count: int) -> "Work":
        """Its first `count` tasks."""
        rows = slice(count)
        return dataclasses.replace(
            self, tasks=self.tasks[rows], table=trees.take(self.table, rows)
        )


class Probe:
    """The compiled program of some work, with at most `steps` steps of an epoch.

    Raises: JaxRuntimeError if it needs more memory than there is.
    """

    def __init__(self, layout: Layout, work: Work, *, steps: int | None = None):
        plan = work.trainer.plan
        self.share = min(plan.steps, steps or plan.steps) / plan.steps
        plan = dataclasses.replace(plan, steps=round(plan.steps * self.share))
        trainer = dataclasses.replace(work.trainer, plan=plan)
        self._work, self._program = work, layout.program(trainer)
        self._rows = self._program.rows(work.tasks)
        start = time.monotonic()
        table = trees.shapes(work.table, len(self._rows))
        self._compiled = self._program.compiled(table, work.data)
        self.compile_seconds = time.monotonic() - start
        self.bytes = device_bytes(self._compiled)
        self._state: TaskState | None = None

    @property
    def text(self) -> str:
        """The compiled program's."""
        return self._compiled.as_text()

    @functools.cached_property
    def _placed(self) -> tuple[TaskTable, Data]:
        """On the devices only once it runs: several may be compiled at once."""
        table = trees.take(self._work.table, self._rows)
        program = self._program
        return (
            jax.device_put(table, program.per_task),
            jax.device_put(self._work.data, program.shared),
        )

    def epoch_seconds(self) -> float:
        """Time of one epoch of all tasks, with its part of an evaluation."""
        evaluation = self._run(0)
        training = max(self._run(1) - evaluation, 0.0)
        return training / self.share + evaluation / self._work.eval_every

    def warm_up(self) -> None:
        """Takes memory, and whatever else happens but once."""
        self._run(1)
        self._run(0)

    def _run(self, epochs: int) -> float:
        table, data = self._placed
        if self._state is None:
            self._state = self._program.first_states(table.key)
        put = (np.int32(0), np.full(1, epochs, np.int32))
        first, counts = jax.device_put(put, self._program.shared)
        jax.block_until_ready((self._state, table, data, first, counts))
        start = time.monotonic()
        self._state, _ = self._compiled(self._state, table, data, first, counts)
        jax.block_until_ready(self._state)
        return time.monotonic() - start


def bytes_needed(program: Program, table: TaskTable, data: Data) -> int | None:
    """What a program needs on each device, in bytes, whether or not its compiler makes
    it; None where that says only that it is too much.
    """
    try:
        return program.bytes(table, data)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return bytes_refused(error)


def out_of_memory(error: Exception) -> bool:
    """Whether the runtime or a compiler says so."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()


def bytes_refused(error: Exception) -> int | None:
    """Bytes that a compiler says a program would have needed; None if it does not."""
    found = re.search(r"[Uu]sed ([\d.]+)([KMGT]) of", str(error))
    if found is None:
        return None
    return int(float(found[1]) * 2 ** (10 + 10 * "KMGT".index(found[2])))


def step_flops(trainer: Trainer, data: Data) -> float:
    """Operations of the products and convolutions of one update of one task with a full
    batch, a multiplication and an addition each: what the mathematics needs, whatever
    the layout.
    """
    plain = dataclasses.replace(trainer, lowering="backend", remat=False, accumulate=1)
    batch = trainer.batch_shapes(data)
    key = jax.random.key(0)
    state = jax.eval_shape(trainer.init, key)
    weight = jax.ShapeDtypeStruct((trainer.plan.size,), jnp.float32)
    traced = jax.make_jaxpr(plain.step)(state, key, *batch, weight)
    return 2 * sum(one.many for one in multiplications(traced.jaxpr))
