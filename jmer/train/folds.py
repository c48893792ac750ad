"""Many tasks at once: the only file that knows of the task axis."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jmer import keys
from jmer.targets.scopes import CHUNKS, EPOCHS, EVALUATION
from jmer.train.compiling import ONCE, compiler_options
from jmer.train.numerics import bits_by_kernel
from jmer.train.step import Data, Record, TaskState, Trainer
from jmer.train.tasks import Task, TaskTable

AXIS = "task"

Trained = tuple[TaskState, jax.Array]
"""The tasks of a chunk, and their mean loss of the epoch before [f]."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Program:
    """The training of a pack of tasks, compiled once, sharded over `mesh`.

    Every array of a state or table has the task axis first, as long as `rows` says.
    Each device trains `chunk` tasks side by side, one chunk after another; the tasks
    of a chunk share a seed, hence the order of clips. Devices never communicate: the
    program has no collective.
    """

    trainer: Trainer
    mesh: Mesh
    chunk: int
    evaluations: int = 1
    options: Mapping[str, Any] | None = None
    """For the compiler, beside what the lowering asks for."""

    @property
    def compiler_options(self) -> dict[str, Any]:
        """For the compiler, all of them."""
        lowering, dtype = self.trainer.lowering, self.trainer.dtype
        asked = compiler_options(self._platform, lowering, dtype)
        return asked | dict(self.options or {})

    @property
    def _platform(self) -> str:
        platform: str = self.mesh.devices.flat[0].platform
        return platform

    @property
    def per_task(self) -> NamedSharding:
        """Placement of what each task has for itself."""
        return NamedSharding(self.mesh, P(AXIS))

    @property
    def shared(self) -> NamedSharding:
        """Placement of what all tasks have in common."""
        return NamedSharding(self.mesh, P())

    def rows(self, tasks: Sequence[Task]) -> np.ndarray:
        """The task of each row: seed after seed, each in whole chunks, and as many
        chunks on every device; tasks are repeated to fill them.
        """
        seeds = sorted({task.seed for task in tasks})
        groups = [[i for i, t in enumerate(tasks) if t.seed == seed] for seed in seeds]
        chunks = [row for group in groups for row in _whole(group, self.chunk)]
        return np.concatenate(_filled(chunks, self.mesh.size))

    def fitting(self, table: TaskTable, clips: int) -> "Program":
        """The program for some of its tasks, those of this table, of so many clips in
        all: where it has room for what they need together, for less of that."""
        del table, clips
        return self

    @functools.cached_property
    def init(self) -> Callable[[jax.Array], TaskState]:
        """States from the tasks' keys."""
        each = jax.vmap(self.trainer.init)
        return jax.jit(
            self.on_devices(each, inputs=(P(AXIS),), outputs=P(AXIS)),
            compiler_options=ONCE.get(self._platform),
        )

    def first_states(self, key: jax.Array) -> TaskState:
        """`init` of the tasks' keys; HSTA's took 80 seconds to compile for a GPU."""
        with bits_by_kernel() if self._platform == "gpu" else contextlib.nullcontext():
            return self.init(key)

    @functools.cached_property
    def advance(self) -> Any:
        """`(state, table, data, first, counts) -> (state, records)`, jitted.

        Trains and evaluates `evaluations` times, `counts[i]` epochs before each,
        numbered from `first`. The state is donated; the records have the evaluation
        first, then the task.
        """
        return jax.jit(
            self.on_devices(
                self._advance_device,
                inputs=(P(AXIS), P(AXIS), P(), P(), P()),
                outputs=(P(AXIS), P(None, AXIS)),
            ),
            donate_argnums=0,
        )

    def compiled(self, table: TaskTable, data: Data) -> Any:
        """`advance`, compiled once for a table of this many rows."""
        rows = table.key.shape[0]
        if rows not in self._compiled:
            lowered = self.lowered(table, data)
            self._compiled[rows] = lowered.compile(self.compiler_options)
        return self._compiled[rows]

    def lowered(self, table: TaskTable, data: Data) -> jax.stages.Lowered:
        """`advance`, traced for a table of this many rows."""
        per_task = functools.partial(placed, sharding=self.per_task)
        shared = functools.partial(placed, sharding=self.shared)
        state = jax.eval_shape(self.init, table.key)
        return self.advance.lower(
            jax.tree.map(per_task, state),
            jax.tree.map(per_task, table),
            jax.tree.map(shared, data),
            shared(jnp.int32(0)),
            shared(jnp.zeros(self.evaluations, jnp.int32)),
        )

    @functools.cached_property
    def _compiled(self) -> dict[int, Any]:
        return {}

    def bytes(self, table: TaskTable, data: Data) -> int:
        """What the program needs on each device with a table of this many rows."""
        return device_bytes(self.compiled(table, data))

    def running(
        self, table: TaskTable, data: Data, turns: Sequence[tuple[int, int]]
    ) -> "Running":
        """The program with its set, ready for `turns`: epochs before each, and in it.

        `table` lies on the devices and `data` on the host.
        """
        return Running(self, table, jax.device_put(data, self.shared))

    def _advance_device(
        self,
        state: TaskState,
        table: TaskTable,
        data: Data,
        first: jax.Array,
        counts: jax.Array,
    ) -> tuple[TaskState, Record]:
        """The tasks of one device, a chunk at a time, each in the place where its
        states lie: a list of new ones would be a copy of them all.
        """
        rows = table.key.shape[0]

        def chunk(state: TaskState, number: jax.Array) -> tuple[TaskState, Record]:
            start = number * self.chunk
            part, record = self._advance_chunk(
                part_of(state, start, self.chunk),
                part_of(table, start, self.chunk),
                data,
                first,
                counts,
            )
            return with_part(state, part, start), record

        with jax.named_scope(CHUNKS):
            state, record = jax.lax.scan(chunk, state, jnp.arange(rows // self.chunk))
        record = jax.tree.map(
            lambda x: x.swapaxes(0, 1).reshape(-1, rows, *x.shape[3:]), record
        )
        return state, record

    def _advance_chunk(
        self,
        state: TaskState,
        table: TaskTable,
        data: Data,
        first: jax.Array,
        counts: jax.Array,
    ) -> tuple[TaskState, Record]:
        """Tasks of one seed side by side: what they share has no task axis here, so
        that layers see one input for all.
        """
        trainer, seed = self.trainer, table.seed[0]

        def epoch(number: jax.Array, carry: Trained) -> Trained:
            one = functools.partial(
                trainer.train_epoch,
                data=data,
                key=keys.named(seed, "epoch", number),
                order=trainer.plan.order(seed, number),
            )
            return self.side_by_side(one)(carry[0], table)

        def evaluation(
            carry: tuple[TaskState, jax.Array], count: jax.Array
        ) -> tuple[tuple[TaskState, jax.Array], Record]:
            state, first = carry
            unknown = jnp.full(self.chunk, jnp.nan)
            stop = unless_stopped(state, first, first + count)
            with jax.named_scope(EPOCHS):
                state, loss = jax.lax.fori_loop(first, stop, epoch, (state, unknown))
            one = functools.partial(trainer.evaluate, data=data, epoch=first + count)
            with jax.named_scope(EVALUATION):
                state, record = self.side_by_side(one)(state, table, loss=loss)
            return (state, first + count), record

        (state, _), record = jax.lax.scan(evaluation, (state, first), counts)
        return state, record

    def side_by_side(self, function: Callable) -> Callable:
        """`function` of one task, over the tasks of a chunk."""
        if self.chunk > 1:
            return jax.vmap(function)

        # An axis of one task would make batched products of plain ones.
        def alone(*args: Any, **options: Any) -> Any:
            args, options = jax.tree.map(lambda x: x[0], (args, options))
            return jax.tree.map(lambda x: x[None], function(*args, **options))

        return alone

    def on_devices(self, function: Callable, inputs: Any, outputs: Any) -> Callable:
        # The automatic partitioner would gather grouped convolutions; shard_map
        # leaves each device with its own tasks.
        return jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=inputs,
            out_specs=outputs,
            check_vma=False,
        )


@dataclasses.dataclass
class Running:
    """A program whose set lies on the devices."""

    program: Program
    table: TaskTable
    data: Data

    def advance(
        self, state: TaskState, first: int, counts: Sequence[int]
    ) -> tuple[TaskState, Record]:
        """`Program.advance`; does not wait for the devices."""
        numbers = np.int32(first), np.array(counts, np.int32)
        put = jax.device_put(numbers, self.program.shared)
        run = self.program.compiled(self.table, self.data)
        return run(state, self.table, self.data, *put)

    def close(self) -> None:
        """Ends whatever works for it."""


def unless_stopped(state: TaskState, first: jax.Array, stop: jax.Array) -> jax.Array:
    """`stop`, before which a chunk ends what it begins at `first`; `first` once all of
    its tasks have stopped."""
    if state.stopped is None:
        return stop
    return jnp.where((state.stopped > 0).all(), first, stop)


def device_bytes(compiled: Any) -> int:
    """What a compiled program needs on each device, in bytes."""
    stats = compiled.memory_analysis()
    return int(
        stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        + stats.temp_size_in_bytes
        - stats.alias_size_in_bytes
    )


def part_of(tree: T, start: jax.Array, size: int) -> T:
    """Some rows of every leaf."""
    return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, size), tree)


def with_part(tree: T, part: T, start: jax.Array) -> T:
    """A tree with other rows from `start` on."""
    return jax.tree.map(
        lambda x, y: jax.lax.dynamic_update_slice_in_dim(x, y, start, 0), tree, part
    )


def placed(x: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def _whole(group: list[int], size: int) -> list[np.ndarray]:
    """`group` in parts of `size`, the last filled with its last element."""
    padded = group + group[-1:] * (-len(group) % size)
    return list(np.array(padded).reshape(-1, size))


def _filled(chunks: list[np.ndarray], multiple: int) -> list[np.ndarray]:
    return chunks + chunks[-1:] * (-len(chunks) % multiple)
