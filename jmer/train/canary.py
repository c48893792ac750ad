"""Proof, before a training, that no clip a task must not see reaches it.

Whoever wrote the layers: a batch norm that is not told which clips count, attention
across a batch, a loss that compares clips. In shared batches each of them hands a
held-out subject to its own fold, and no list of subjects would show it.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmer import trees
from jmer.data.rows import RowFile
from jmer.errors import JmerError
from jmer.scores.labels import UNITS, kind_of
from jmer.text import counted
from jmer.train.batches import BatchPlan
from jmer.train.culprit import where_it_enters
from jmer.train.folds import Program
from jmer.train.host_order import order_of
from jmer.train.pack import first_state
from jmer.train.step import Data
from jmer.train.streamed import Streamed
from jmer.train.tasks import Task, TaskTable


class Leak(JmerError):
    """A clip that a task must not see has changed its training."""


@dataclasses.dataclass(frozen=True)
class Passed:
    """What the canary saw."""

    task: Task
    clips: int  # that the task must not see; all of them were changed
    arrays: int  # that were compared, bit for bit
    seconds: float

    def __str__(self) -> str:
        return (
            f"canary: {self.clips} clips that fold {self.task.fold} must not see were "
            f"changed, and no bit of its training ({self.seconds:.1f} s)"
        )

    def record(self) -> dict[str, Any]:
        """As JSON values, for `experiment.json`."""
        return {**dataclasses.asdict(self), "seconds": round(self.seconds, 3)}


def sing(
    program: Program,
    tasks: Sequence[Task],
    table: TaskTable,
    data: Data,
    start: Mapping[str, np.ndarray] | None = None,
) -> Passed:
    """Trains the pack for one epoch twice, from the same weights: on the set as it is,
    and with every clip replaced that one task must not train on, its pixels and its
    label. That task's loss, parameters, statistics and optimiser must not differ in
    a single bit.

    `table` has a row for each task, on the host; `start` is what the tasks begin with,
    as `train_pack` takes it.

    It is the compiled program of the training itself, so that it costs two epochs and
    no compilation. The task is one whose last batch has clips that it must not see:
    statistics that only remember the last batch show too. What depends on the clips
    that choose the epoch is left out.

    Raises: Leak naming the layer where the difference enters.
    """
    begun = time.monotonic()
    rows = program.rows(tasks)
    table_rows = jax.device_put(trees.take(table, rows), program.per_task)
    chosen = telling_row(program.trainer.plan, table)
    task, row = tasks[chosen], int(np.flatnonzero(rows == chosen)[0])
    unseen = ~np.asarray(table.train)[chosen]
    other = without(data, unseen, program.trainer.classes)
    own = functools.partial(_own, row=row)

    def trained(seen: Data) -> Any:
        counts = [1] + [0] * (program.evaluations - 1)
        state = first_state(program, table_rows.key, rows, start or {})
        with contextlib.closing(program.running(table_rows, seen, [(0, 1)])) as run:
            state, record = run.advance(state, 0, counts)
        weights = {"params": state.params, "stats": state.stats}
        others = (state.opt_state, state.step, state.alive)
        loss = np.asarray(record.loss)[:, row]
        return {**own({**weights, "training": others}), "loss": loss}

    first, second = trained(data), trained(other)
    found = differing(first, second)
    if found and differing(first, trained(data)):
        raise JmerError(
            f"the training of fold {task.fold} is not the same twice on "
            f"{jax.local_devices()[0].device_kind}, so that it cannot be proven that "
            f"its held-out clips do not reach it. Start with "
            f"XLA_FLAGS=--xla_gpu_deterministic_ops=true in the environment."
        )
    if found:
        place = where_it_enters(program.trainer, trees.take(table, chosen), data, other)
        words = "array of weights differs", "arrays of weights differ"
        differ = counted(len(found), *words)
        raise Leak(
            f"clips that fold {task.fold} must not see change its training: the "
            f"difference enters at {place}, and {differ} "
            f"after one epoch (the first: {found[0]}). In a batch that folds read "
            f"together, a layer that mixes clips must leave out those of weight 0: "
            f"hand it the `weight` that the network is called with, as "
            f"`jmer.nn.BatchNorm` takes it.{_other_remedy(program)}"
        )
    arrays = len(jax.tree.leaves(first))
    return Passed(task, int(unseen.sum()), arrays, time.monotonic() - begun)


def _own(tree: Any, row: int) -> Any:
    """One task's arrays, on the host."""
    if jax.default_backend() != "cpu":  # where the others' would have to be fetched
        return jax.device_get(jax.jit(lambda tree: trees.take(tree, row))(tree))

    def taken(array: jax.Array) -> np.ndarray:
        for shard in array.addressable_shards:
            rows = range(len(array))[shard.index[0]]
            if row in rows:
                return np.asarray(shard.data)[row - rows.start].copy()
        raise AssertionError(f"no device has row {row}")

    return jax.tree.map(taken, tree)


def _other_remedy(program: Program) -> str:
    # Own ones are read together already where folds hold out little beside a batch,
    # and a set that is streamed has no others.
    if program.trainer.plan.mode == "own" or isinstance(program, Streamed):
        return ""
    return " Or run with --batches own --overwrite, if no batch is shared then."


def telling_row(plan: BatchPlan, table: TaskTable) -> int:
    """The task, of those with the first one's seed, that reads clips which it must not
    see in most batches of the first epoch, the last one among them; the first where no
    batch is shared.
    """
    if not plan.together:
        return 0
    clips = order_of(plan, table.seed) // plan.versions
    seeds = np.asarray(jax.random.key_data(table.seed))

    def mixed(own: np.ndarray) -> int:
        steps = -(-own.sum() // plan.size) if plan.mode == "own" else plan.steps
        starts = np.arange(steps) * plan.size
        batches = [own[start : start + plan.width] for start in starts]
        found = [0 < batch.sum() < len(batch) for batch in batches]
        return sum(found) if found and found[-1] else 0

    scores = [
        mixed(train[clips]) if (seed == seeds[0]).all() else -1
        for train, seed in zip(np.asarray(table.train), seeds, strict=True)
    ]
    return int(np.argmax(scores))


def without(data: Data, unseen: np.ndarray, classes: int) -> Data:
    """The set with other pixels and labels wherever `unseen` [n] holds: noise of the
    same kind, and twice the range, so that no rounding hides it.
    """
    rng = np.random.default_rng(0)

    def noise(array: Any) -> Any:
        if isinstance(array, RowFile):  # which need not fit into memory
            return NoisyRows(array, unseen)
        return _with_noise(array, unseen, rng)

    label = np.array(data.label)
    if kind_of(label) is UNITS:
        label[unseen] = ~label[unseen]
    else:
        label[unseen] = (label[unseen] + 1) % classes
    rows = {name: noise(x) for name, x in data.rows.items()}
    return dataclasses.replace(data, rows=rows, label=label)


@dataclasses.dataclass(frozen=True)
class NoisyRows:
    """The rows of a file, with noise for those that are `unseen`, made when read."""

    file: RowFile
    unseen: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.shape

    @property
    def dtype(self) -> np.dtype:
        return self.file.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        rng = np.random.default_rng(0)
        return _with_noise(self.file[index], self.unseen[index], rng)


def _with_noise(array: Any, unseen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    known = np.array(array)
    shape = known[unseen].shape
    if jnp.issubdtype(known.dtype, jnp.floating):
        scale = 2 * float(np.abs(known.astype(np.float32)).max()) or 1.0
        known[unseen] = rng.uniform(-scale, scale, shape).astype(known.dtype)
    else:
        ends = np.iinfo(known.dtype)
        known[unseen] = rng.integers(ends.min, ends.max, shape, known.dtype, True)
    return known


def differing(first: Any, second: Any) -> list[str]:
    """Names of the leaves that are not equal to the last bit; a NaN equals itself."""
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(first),
        jax.tree.leaves(second),
        strict=True,
    )
    return [
        trees.path_name(path)
        for (path, a), b in pairs
        if np.asarray(a).tobytes() != np.asarray(b).tobytes()
    ]
