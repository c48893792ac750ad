"""The order in which a task sees its clips."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from jmer import keys
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray, typed

Mode = Literal["own", "shared"]


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """Static sizes of an epoch over `clips` clips, `largest` of them in one fold."""

    mode: Mode
    size: int
    steps: int
    clips: int

    @classmethod
    def of(cls, mode: Mode, batch_size: int, clips: int, largest: int) -> "BatchPlan":
        """`own`: full batches and a rest, of a task's own clips. `shared`: as many
        batches of the whole set as it takes, of equal size.
        """
        if mode == "own":
            steps = math.ceil(largest / batch_size)
            return cls(mode, min(batch_size, largest), steps, clips)
        steps = math.ceil(clips / batch_size)
        return cls(mode, math.ceil(clips / steps), steps, clips)

    @typed
    def epoch(
        self, key: PRNGKeyArray, train: Bool[Array, " n"], epoch: Int[Array, ""]
    ) -> tuple[Int[Array, "steps b"], Float[Array, "steps b"]]:
        """Clips of each step of an epoch, and their weights: 1, or 0 for the rest.

        `own` batches hold the task's training clips in an order of its own. `shared`
        batches hold all clips, in an order that depends on nothing but the epoch, so
        that every task and seed sees the same ones; a task weighs down what is not
        its own.
        """
        if self.mode == "own":
            noise = jax.random.uniform(keys.named(key, "order", epoch), (self.clips,))
            # One number for each clip of the set, wherever it is trained: the order
            # of a task does not depend on how many clips other folds have.
            order = jnp.argsort(jnp.where(train, noise, 2.0))
            weight = jnp.arange(self.clips) < train.sum()
        else:
            shared = keys.named(keys.seed_key(0), "shared order", epoch)
            order = jax.random.permutation(shared, self.clips)
            weight = train[order]
        order, weight = self._fill(order), self._fill(weight.astype(jnp.float32))
        # Clips without weight are read all the same: let them be the first one.
        if self.mode == "own":
            order = jnp.where(weight > 0, order, 0)
        shape = (self.steps, self.size)
        return order.reshape(shape), weight.reshape(shape)

    def _fill(self, values: Array) -> Array:
        slots = self.steps * self.size
        return jnp.pad(values[:slots], (0, max(0, slots - self.clips)))
