"""Blocks of a set that is larger than a device: which clips, in which order, when.

All of it is a function of the seed and the epoch, so that a training that is resumed
reads what it would have read. Grain prepares the blocks ahead of the device.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jmer.arrays import PRNGKeyArray
from jmer.data.rows import RowFile
from jmer.errors import JmerError
from jmer.train.batches import BatchPlan
from jmer.train.host_order import order_of
from jmer.train.step import Data
from jmer.train.tasks import TaskTable

AHEAD = 2  # blocks that wait in host memory for the device
THREADS = 2  # that read them
HELD = AHEAD + 3
"""Blocks in host memory at most: one is being handed over, and where the device is the
host two are on it."""

Turn = tuple[int, int]
"""The number of epochs before an evaluation's first, and how many it follows."""


class Block(NamedTuple):
    """The clips of some steps of an epoch, or those that some tasks are tested on."""

    epoch: int  # that the steps are of; after how many it is evaluated
    part: int  # the first step; the chunk of tasks
    rows: dict[str, np.ndarray]  # [clips of a block, values] of each input
    place: np.ndarray  # [clips of the set] rows of those that are there
    order: np.ndarray | None  # of the epoch; None for an evaluation


@dataclasses.dataclass(frozen=True)
class Blocks(Sequence):
    """The blocks of a training, one after another; each can be had by its number.

    `tested` has the clips that the tasks of each chunk are evaluated on, device by
    device, and `room` how many rows a block has for a device: for steps, and for an
    evaluation.
    """

    data: Data
    plan: BatchPlan
    seed: PRNGKeyArray  # [1]
    steps: int
    tested: Sequence[Sequence[np.ndarray]]
    room: tuple[int, int]
    turns: tuple[Turn, ...]

    @functools.cached_property
    def items(self) -> list[tuple[int, int, bool]]:
        """Epoch and part of each block, and whether it is of steps."""
        made = []
        for first, count in self.turns:
            for epoch in range(first, first + count):
                starts = range(0, self.plan.steps, self.steps)
                made += [(epoch, start, True) for start in starts]
            made += [(first + count, i, False) for i in range(len(self.tested))]
        return made

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: Any) -> Any:
        epoch, part, trains = self.items[number]
        if not trains:
            there = self.tested[part]
            found = [self._read(clips, self.room[1]) for clips in there]
            rows = {n: np.concatenate([r[n] for r, _ in found]) for n in found[0][0]}
            place = np.concatenate([place for _, place in found])
            return Block(epoch, part, rows, place, None)
        order = self._order(epoch)
        clips = step_clips(self.plan, order, part, part + self.steps)
        return Block(epoch, part, *self._read(clips, self.room[0]), order)

    def _read(self, clips: np.ndarray, room: int) -> tuple[dict, np.ndarray]:
        """Rows of these clips, and the place of each."""
        place = np.zeros(len(self.data.label), np.int32)
        place[clips] = np.arange(len(clips))
        rows = {}
        for name, array in self.data.rows.items():
            rows[name] = made = np.empty((room, *array.shape[1:]), array.dtype)
            made[len(clips) :] = 0
            _gather(array, clips, made[: len(clips)])
        return rows, place

    @functools.cached_property
    def _order(self) -> Any:
        one = functools.partial(order_of, self.plan, self.seed)
        return functools.lru_cache(maxsize=2)(one)


def _gather(array: Any, index: np.ndarray, made: np.ndarray) -> None:
    """`made[:] = array[index]`, without a copy between."""
    if isinstance(array, RowFile):
        array.read_into(made, index)
    elif isinstance(array, np.ndarray):
        np.take(array, index, axis=0, out=made, mode="clip")
    else:
        made[:] = array[index]


def step_clips(plan: BatchPlan, order: np.ndarray, first: int, stop: int) -> np.ndarray:
    """The clips of the set that steps of an epoch read, each once."""
    stop = min(stop, plan.steps)
    start, end = first * plan.size, (stop - 1) * plan.size + plan.width
    clips = order[start:end] // plan.versions
    # What is beyond the end of the set is filled with its first clip, and left out.
    return np.union1d(clips, [0]) if end > plan.clips else np.unique(clips)


def step_room(plan: BatchPlan, steps: int) -> int:
    """The most clips that so many steps read."""
    entries = (min(steps, plan.steps) - 1) * plan.size + plan.width
    return min(entries, plan.clips // plan.versions)


def evaluated(table: TaskTable, rows: Sequence[int]) -> np.ndarray:
    """The clips that the tasks of some rows are tested on or choose their epoch by, and
    the first of the set, which fills what is left.
    """
    found = [np.zeros(1, np.int32)]
    for clips, weight in (
        (table.test, table.test_weight),
        (table.inner, table.inner_weight),
    ):
        some = np.asarray(clips)[rows]
        found.append(some[np.asarray(weight)[rows] > 0])
    return np.unique(np.concatenate(found))


def evaluation_room(table: TaskTable, chunk: int, clips: int) -> int:
    """The most clips that `chunk` tasks of a table are evaluated on, of so many."""
    weights = np.asarray(table.test_weight), np.asarray(table.inner_weight)
    counts = np.sort(sum((w > 0).sum(1) for w in weights))
    return min(clips, 1 + int(counts[-chunk:].sum()))


def prepared_ahead(blocks: Blocks) -> Any:
    """An iterator of the blocks in their order, of which Grain makes the next ones
    meanwhile; `close` ends it.

    Raises: JmerError if Grain is not installed.
    """
    grain = require_grain()
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    return iter(grain.MapDataset.source(blocks).to_iter_dataset(options))


def require_grain() -> Any:
    """Grain, which nothing else of jmer needs. Raises: JmerError without it."""
    try:
        import grain
    except ImportError as error:
        raise JmerError(
            f"a set that does not fit the device is fed by Grain, and {error.name} is "
            f"missing: pip install 'jmer[stream]'."
        ) from error
    return grain


def clip_bytes(data: Data) -> int:
    """Bytes of a clip, all of its inputs."""
    return sum(x.shape[1] * x.dtype.itemsize for x in data.rows.values())


def set_bytes(data: Data) -> int:
    """Bytes of a set, labels and all."""
    return len(data.label) * (clip_bytes(data) + 4)
