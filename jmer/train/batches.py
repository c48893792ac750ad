"""The order in which tasks see their clips."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from jmer import keys
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray, typed

Mode = Literal["own", "shared"]
Sampling = Literal["shuffled", "balanced"]

TOGETHER = 1.4  # own batches are read together where that reads no more than this


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """Static sizes of an epoch over a set of `clips`.

    A network may show each clip in several versions (`NetworkConfig.versions`). Each of
    them counts as a clip here, in the sizes and in what is returned, where version v of
    clip i has the number `i * versions + v`; `split` takes the two apart.

    Every seed has one order of the whole set for each epoch. A task leaves out what is
    not its own:

    - `own`: its batches are the first `size` of its own clips in that order, the next
      `size`, and so on to the rest: the textbook protocol, as if every fold had been
      shuffled by the same seed.
    - `shared`: the whole set is cut into `steps` batches of equal size, and a task
      gives weight 0 to what it must not see.

    Shared batches are read once for all tasks. So are own batches where tasks hold
    out little beside a batch: a step then reads a window of the order that has the
    batch of every task in it, and each weighs down the others'. It depends on the
    split alone, never on the layout.

    Balanced batches are own ones, drawn with replacement: a class with equal
    probability, then a clip of that class. An epoch has as many as fit in the clips of
    the task whole, and one at least.
    """

    mode: Mode
    size: int
    steps: int
    clips: int
    width: int  # clips that a step reads
    together: bool  # whether all tasks of a seed read the same ones
    balanced: bool = False
    versions: int = 1

    @classmethod
    def of(
        cls,
        mode: Mode,
        batch_size: int,
        clips: int,
        smallest: int,
        largest: int,
        *,
        sampling: Sampling = "shuffled",
        versions: int = 1,
    ) -> "BatchPlan":
        """The plan for a set of `clips`, whose folds train on `smallest` to `largest`
        of them.
        """
        clips, smallest, largest = (n * versions for n in (clips, smallest, largest))
        if sampling == "balanced":
            steps = max(1, largest // batch_size)
            sizes = batch_size, steps, clips, batch_size
            return cls(mode, *sizes, together=False, balanced=True, versions=versions)
        if mode == "shared":
            steps = math.ceil(clips / batch_size)
            size = math.ceil(clips / steps)
            return cls(mode, size, steps, clips, size, True, versions=versions)
        steps, size = math.ceil(largest / batch_size), min(batch_size, largest)
        window = min(size + clips - smallest, clips)
        read = sum(min(window, clips - step * size) for step in range(steps))
        together = read <= TOGETHER * clips
        width = window if together else size
        return cls(mode, size, steps, clips, width, together, versions=versions)

    def split(self, index: Int[Array, "..."]) -> tuple[Array, Array]:
        """Clips of the set, and versions of them."""
        if self.versions == 1:
            return index, jnp.zeros_like(index)
        return index // self.versions, index % self.versions

    @typed
    def order(self, seed: PRNGKeyArray, epoch: Int[Array, ""]) -> Int[Array, " n"]:
        """The whole set as the tasks of a seed go through it in an epoch."""
        return jax.random.permutation(keys.named(seed, "order", epoch), self.clips)

    def updates(self, clips: Int[jax.Array, ""] | int) -> Int[jax.Array, ""] | int:
        """Updates of an epoch for a task that trains on so many clips of the set.

        Shared batches without a clip of the task are counted, though they change
        nothing.
        """
        clips = clips * self.versions
        if self.balanced:
            return jnp.maximum(clips // self.size, 1)
        return self.steps if self.mode == "shared" else -(-clips // self.size)

    @typed
    def draw(
        self,
        key: PRNGKeyArray,
        train: Bool[Array, " m"],
        label: Int[Array, " m"],
        classes: int,
    ) -> tuple[Int[Array, "steps width"], Float[Array, "steps width"]]:
        """Balanced batches of an epoch, as `batches` returns its own.

        Nothing depends on clips that are not the task's, nor on their labels.
        """
        own = jnp.repeat(jnp.where(train, label, classes), self.versions)
        by_class = jnp.argsort(own)
        counts = jnp.bincount(own, length=classes + 1)[:classes]
        first = jnp.cumsum(counts) - counts
        shape = (self.steps, self.size)
        chosen = jax.random.randint(keys.named(key, "class"), shape, 0, classes)
        place = jax.random.uniform(keys.named(key, "clip"), shape) * counts[chosen]
        place = jnp.minimum(place.astype(jnp.int32), counts[chosen] - 1)
        index = by_class[first[chosen] + place]
        counted = jnp.arange(self.steps) < self.updates(jnp.sum(train))
        weight = jnp.broadcast_to(counted[:, None], shape).astype(jnp.float32)
        return index.astype(jnp.int32), weight

    @typed
    def batches(
        self, order: Int[Array, " n"], train: Bool[Array, " m"]
    ) -> tuple[Int[Array, "steps width"], Float[Array, "steps width"]]:
        """Clips of each step of an epoch, and their weights: 1, or 0 for the rest.

        The clips do not depend on `train`, a task's own ones, if they are read
        together.
        """
        own = train[self.split(order)[0]]
        if not self.together:
            # Own clips first, in order; the sort is stable.
            order = order[jnp.argsort(~own)]
            weight = jnp.arange(self.clips) < own.sum()
            order = jnp.where(weight, order, order[0])
            return self._cut(order), self._cut(weight.astype(jnp.float32))
        rank = jnp.cumsum(own) - 1 if self.mode == "own" else jnp.arange(self.clips)
        batch = jnp.where(own, rank // self.size, -1)
        weight = self._cut(batch, fill=-1) == jnp.arange(self.steps)[:, None]
        return self._cut(order), weight.astype(jnp.float32)

    def _cut(self, values: Array, fill: int = 0) -> Array:
        """[steps, width]: from every `size`-th value on."""
        place = jnp.arange(self.steps)[:, None] * self.size + jnp.arange(self.width)
        return jnp.where(
            place < self.clips, values[jnp.minimum(place, self.clips - 1)], fill
        )
