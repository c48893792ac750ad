"""Many tasks at once: the only file that knows of the task axis."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jmer.train.step import Data, Record, TaskState, Trainer
from jmer.train.tasks import TaskTable

AXIS = "task"
Strategy = Literal["vmap", "map"]


@dataclasses.dataclass(frozen=True)
class Program:
    """The training of a pack of tasks, compiled once, sharded over `mesh`.

    Every array of a state or table has the task axis first, a multiple of the number
    of devices long. Devices never communicate: the program has no collective.
    """

    trainer: Trainer
    mesh: Mesh
    strategy: Strategy

    @property
    def per_task(self) -> NamedSharding:
        """Placement of what each task has for itself."""
        return NamedSharding(self.mesh, P(AXIS))

    @property
    def shared(self) -> NamedSharding:
        """Placement of what all tasks have in common."""
        return NamedSharding(self.mesh, P())

    @functools.cached_property
    def init(self) -> Callable[[jax.Array], TaskState]:
        """States from the tasks' keys."""
        return jax.jit(
            self._over_tasks(lambda key: self.trainer.init(key), inputs=(P(AXIS),))
        )

    @functools.cached_property
    def advance(self) -> Callable[..., tuple[TaskState, Record]]:
        """`(state, table, data, first, count)`: trains `count` epochs, numbered from
        `first`, then evaluates. The state is donated.
        """
        return jax.jit(
            self._over_tasks(
                self._advance_one, inputs=(P(AXIS), P(AXIS), P(), P(), P())
            ),
            donate_argnums=0,
        )

    def _advance_one(
        self,
        state: TaskState,
        task: TaskTable,
        data: Data,
        first: jax.Array,
        count: jax.Array,
    ) -> tuple[TaskState, Record]:
        def body(i, carry):
            return self.trainer.train_epoch(carry[0], task, data, first + i)

        state, loss = jax.lax.fori_loop(0, count, body, (state, jnp.array(0.0)))
        return self.trainer.evaluate(state, task, data, first + count, loss)

    def _over_tasks(self, function: Callable, inputs: tuple[P, ...]) -> Callable:
        """`function` of one task, over the tasks of each device, on every device."""
        mapped = [spec == P(AXIS) for spec in inputs]

        def local(*args: Any) -> Any:
            if self.strategy == "vmap":
                axes = tuple(0 if m else None for m in mapped)
                return jax.vmap(function, in_axes=axes)(*args)
            own = tuple(a for a, m in zip(args, mapped, strict=True) if m)

            def one(rows):
                rows = iter(rows)
                merged = (
                    next(rows) if m else a for a, m in zip(args, mapped, strict=True)
                )
                return function(*merged)

            return jax.lax.map(one, own)

        # The automatic partitioner would gather grouped convolutions; shard_map
        # leaves each device with its own tasks.
        return jax.shard_map(
            local, mesh=self.mesh, in_specs=inputs, out_specs=P(AXIS), check_vma=False
        )
