"""The training of a pack whose set does not fit the devices: block after block of it.

The steps, their order and their keys are those of `folds.Program`, and so are the
numbers, bit for bit. A block is sent once, and all chunks of a device go through it.
"""

import collections
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jmer import keys
from jmer.arrays import Array
from jmer.targets.scopes import CHUNKS, EVALUATION
from jmer.train.feed import (
    Block,
    Blocks,
    Turn,
    clip_bytes,
    evaluated,
    evaluation_room,
    prepared_ahead,
    step_room,
)
from jmer.train.folds import (
    AXIS,
    Program,
    Running,
    device_bytes,
    part_of,
    placed,
    unless_stopped,
    with_part,
)
from jmer.train.probe import Layout, Work
from jmer.train.step import Data, Record, TaskState
from jmer.train.tasks import Task, TaskTable


@dataclasses.dataclass(frozen=True)
class Streamed(Program):
    """A pack of tasks of one seed, whose batches they read together.

    A block has the clips of `steps` steps, or up to `tested` clips that a chunk on each
    device is evaluated on.
    """

    steps: int = 1
    tested: int = 1

    @classmethod
    def of(cls, layout: Layout, work: Work, steps: int) -> "Streamed":
        """The program of a layout that is fed so many steps at once."""
        plain = layout.program(work.trainer)
        tested = evaluation_room(work.table, layout.chunk, len(work.data.label))
        return cls(plain.trainer, plain.mesh, plain.chunk, steps=steps, tested=tested)

    def fitting(self, table: TaskTable, clips: int) -> "Streamed":
        room = evaluation_room(table, self.chunk, clips)
        return dataclasses.replace(self, tested=room)

    def rows(self, tasks: Sequence[Task]) -> np.ndarray:
        if len({task.seed for task in tasks}) > 1:
            raise AssertionError("tasks that are fed together have one seed")
        return super().rows(tasks)

    def _train_device(
        self,
        state: TaskState,
        losses: Array,
        table: TaskTable,
        data: Data,
        order: Array,
        epoch: jax.Array,
        first: jax.Array,
        stop: jax.Array,
    ) -> tuple[TaskState, Array, Array]:
        def chunk(carry: Any, number: jax.Array) -> tuple[Any, Array]:
            start = number * self.chunk
            part, own, ours = part_of((*carry, table), start, self.chunk)
            one = functools.partial(
                self.trainer.train_steps,
                data=data,
                key=keys.named(ours.seed[0], "epoch", epoch),
                order=order,
                first=first,
                stop=unless_stopped(part, first, stop),
            )
            part, own, loss = self.side_by_side(one)(part, own, ours)
            return with_part(carry, (part, own), start), loss

        numbers = jnp.arange(len(losses) // self.chunk)
        with jax.named_scope(CHUNKS):
            (state, losses), loss = jax.lax.scan(chunk, (state, losses), numbers)
        return state, losses, loss.reshape(-1)

    def _evaluate_device(
        self,
        state: TaskState,
        record: Record,
        table: TaskTable,
        data: Data,
        loss: Array,
        epoch: jax.Array,
        chunk: jax.Array,
    ) -> tuple[TaskState, Record, Array]:
        start = chunk * self.chunk
        part, ours, last = part_of((state, table, loss), start, self.chunk)
        one = functools.partial(self.trainer.evaluate, data=data, epoch=epoch)
        with jax.named_scope(EVALUATION):
            part, found = self.side_by_side(one)(part, ours, loss=last)
        whole = with_part(jax.tree.map(lambda x: x[0], record), found, start)
        record = jax.tree.map(lambda x: x[None], whole)
        return with_part(state, part, start), record, found.alive

    def compiled(self, table: TaskTable, data: Data) -> tuple[Any, Any]:
        """The training and the evaluation, for a table of this many rows.

        `(state, losses, table, block, order, epoch, first, stop) -> (state, losses,
        loss)`: steps of an epoch of all tasks, from `first` to before `stop`.

        `(state, record, table, block, loss, epoch, chunk) -> (state, record, done)`:
        that chunk of each device, evaluated after so many epochs.

        State, losses [f, steps] and record [1, f] are donated.
        """
        rows = table.key.shape[0]
        if rows not in self._compiled:
            mine, same, record = P(AXIS), P(), P(None, AXIS)
            whole = _with(data, rows=same, label=same, place=same)
            parts = _with(data, rows=mine, label=same, place=mine)
            made = [
                self._compile(
                    self._train_device,
                    (mine, mine, mine, whole, same, same, same, same),
                    (mine, mine, mine),
                    self._arguments(table, data, self.room[0], order=True),
                ),
                self._compile(
                    self._evaluate_device,
                    (mine, record, mine, parts, mine, same, same),
                    (mine, record, mine),
                    self._arguments(table, data, self.room[1], order=False),
                ),
            ]
            self._compiled[rows] = tuple(made)
        return self._compiled[rows]

    def _compile(
        self, function: Any, inputs: tuple, outputs: tuple, arguments: tuple
    ) -> Any:
        """A function of a device, compiled; its first two arguments are donated."""
        every = self.on_devices(function, inputs, outputs)
        specs = jax.tree.map(
            lambda spec, tree: jax.tree.map(
                functools.partial(placed, sharding=NamedSharding(self.mesh, spec)), tree
            ),
            inputs,
            arguments,
            is_leaf=lambda leaf: isinstance(leaf, P),
        )
        lowered = jax.jit(every, donate_argnums=(0, 1)).lower(*specs)
        return lowered.compile(self.compiler_options)

    def _arguments(
        self, table: TaskTable, data: Data, room: int, *, order: bool
    ) -> tuple:
        """The shapes of what a program takes."""
        number = jax.ShapeDtypeStruct((), jnp.int32)
        rows, clips = table.key.shape[0], len(data.label)
        state = jax.eval_shape(self.init, table.key)
        copies = 1 if order else self.mesh.size
        block = _with(
            data,
            label=jax.ShapeDtypeStruct((clips,), data.label.dtype),
            rows={
                name: jax.ShapeDtypeStruct((copies * room, *x.shape[1:]), x.dtype)
                for name, x in data.rows.items()
            },
            place=jax.ShapeDtypeStruct((copies * clips,), jnp.int32),
        )
        loss = jax.ShapeDtypeStruct((rows,), jnp.float32)
        if not order:
            record = self.blank(table, data)
            return state, record, table, block, loss, number, number
        plan = self.trainer.plan
        losses = jax.ShapeDtypeStruct((rows, plan.steps), jnp.float32)
        whole = jax.ShapeDtypeStruct((plan.clips,), jnp.int32)
        return state, losses, table, block, whole, number, number, number

    def blank(self, table: TaskTable, data: Data) -> Record:
        """The shapes of the record of one evaluation."""
        rows = table.key.shape[0]
        task = jax.tree.map(lambda x: _shape(x.shape[1:], x), table)
        state = jax.eval_shape(self.trainer.init, task.key)
        shapes = jax.tree.map(lambda x: _shape(x.shape, x), data)
        epoch = jax.ShapeDtypeStruct((), jnp.int32)
        loss = jax.ShapeDtypeStruct((), jnp.float32)
        evaluate = self.trainer.evaluate
        _, record = jax.eval_shape(evaluate, state, task, shapes, epoch, loss)
        return jax.tree.map(lambda x: _shape((1, rows, *x.shape), x), record)

    @functools.cached_property
    def room(self) -> tuple[int, int]:
        """Rows of a block on a device: of steps, and of an evaluation."""
        return step_room(self.trainer.plan, self.steps), self.tested

    def bytes(self, table: TaskTable, data: Data) -> int:
        """What the programs need on each device, and the block that waits beside the
        one in use."""
        size = max(device_bytes(run) for run in self.compiled(table, data))
        return size + max(self.room) * clip_bytes(data)

    def running(
        self, table: TaskTable, data: Data, turns: Sequence[Turn]
    ) -> "RunningStream":
        return RunningStream(self, table, data, tuple(turns))


class RunningStream(Running):
    """A streamed program, and the blocks that come to it."""

    def __init__(
        self, program: Streamed, table: TaskTable, data: Data, turns: tuple[Turn, ...]
    ) -> None:
        super().__init__(program, table, data)
        self.streamed = program
        self.train, self.evaluate = program.compiled(table, data)
        host = jax.device_get(_with(table, key=None, seed=None))
        blocks = Blocks(
            data,
            program.trainer.plan,
            table.seed[:1],
            program.steps,
            _tested(host, program),
            program.room,
            turns,
        )
        self.blocks = prepared_ahead(blocks)
        rows = table.key.shape[0]
        self.chunks = len(blocks.tested)
        self.label = jax.device_put(np.asarray(data.label), program.shared)
        losses = np.zeros((rows, program.trainer.plan.steps), np.float32)
        self.losses = jax.device_put(losses, program.per_task)
        self.loss = jax.device_put(losses[:, 0], program.per_task)
        self.under_way = collections.deque[Array]()
        self.next: tuple[Block, Data] | None = None

    def advance(
        self, state: TaskState, first: int, counts: Sequence[int]
    ) -> tuple[TaskState, Record]:
        """Trains as many epochs as `counts` says, and evaluates once."""
        (count,) = (count for count in counts if count)
        plan, size = self.streamed.trainer.plan, self.streamed.steps
        for epoch in range(first, first + count):
            for start in range(0, plan.steps, size):
                block, data = self._take(epoch, start)
                numbers = block.order, *map(np.int32, (epoch, start))
                stop = np.int32(min(start + size, plan.steps))
                put = jax.device_put((*numbers, stop), self.streamed.shared)
                state, self.losses, self.loss = self.train(
                    state, self.losses, self.table, data, *put
                )
                self._send_next(self.loss)
        record = self._blank()
        for chunk in range(self.chunks):
            _, data = self._take(first + count, chunk)
            numbers = np.int32(first + count), np.int32(chunk)
            put = jax.device_put(numbers, self.streamed.shared)
            state, record, done = self.evaluate(
                state, record, self.table, data, self.loss, *put
            )
            self._send_next(done)
        return state, record

    def close(self) -> None:
        self.blocks.close()
        self.next = None

    def _take(self, epoch: int, part: int) -> tuple[Block, Data]:
        """The block of some steps or of an evaluation, on the devices."""
        block, data = self.next or self._sent(next(self.blocks))
        self.next = None
        if (block.epoch, block.part) != (epoch, part):
            raise AssertionError(f"{block.epoch, block.part} came for {epoch, part}")
        return block, data

    def _send_next(self, done: Array) -> None:
        """Sends the next block, once the call before the one that ends in `done` needs
        its own no more: two are on a device."""
        self.under_way.append(done)
        if len(self.under_way) > 1:
            jax.block_until_ready(self.under_way.popleft())
        block = next(self.blocks, None)
        self.next = None if block is None else self._sent(block)

    def _sent(self, block: Block) -> tuple[Block, Data]:
        trains = block.order is not None
        where = self.streamed.shared if trains else self.streamed.per_task
        rows, place = jax.device_put((block.rows, block.place), where)
        data = dataclasses.replace(self.data, rows=rows, label=self.label, place=place)
        return block._replace(rows={}), data

    def _blank(self) -> Record:
        sharding = NamedSharding(self.streamed.mesh, P(None, AXIS))
        shapes = self.streamed.blank(self.table, self.data)
        empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        return jax.device_put(empty, sharding)


def _tested(table: TaskTable, program: Streamed) -> list[list[np.ndarray]]:
    """The clips that tasks are evaluated on, by chunk and device."""
    rows, devices = len(table.test), program.mesh.size
    of_device = np.arange(rows).reshape(devices, -1, program.chunk)
    return [
        [evaluated(table, of_device[device, chunk]) for device in range(devices)]
        for chunk in range(of_device.shape[1])
    ]


def _shape(shape: tuple[int, ...], like: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, like.dtype)


def _with(tree: Any, **leaves: Any) -> Any:
    """A tree with other leaves: shapes, placements or nothing in place of arrays."""
    return dataclasses.replace(tree, **leaves)
