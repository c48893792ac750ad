"""The training of one pack from its first or last saved epoch to its end."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jmer import trees
from jmer.arrays import PRNGKeyArray
from jmer.train.checkpoint import Checkpoints, Flat, flatten, replaced, unflatten
from jmer.train.folds import Program, Running
from jmer.train.step import Data, Record, TaskState
from jmer.train.tasks import Task, TaskTable


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When to evaluate and to save."""

    epochs: int
    eval_every: int
    checkpoint_seconds: float

    def counts(self, epoch: int, evaluations: int) -> list[int]:
        """Epochs before each of the next evaluations, after `epoch` epochs; 0 beyond
        the end.
        """
        ends = [epoch + self.eval_every * i for i in range(evaluations + 1)]
        ends = [min(end, self.epochs) for end in ends]
        return [end - start for start, end in itertools.pairwise(ends)]

    def turns(self, epoch: int) -> list[tuple[int, int]]:
        """Each evaluation after `epoch` epochs: how many come before its own, and how
        many those are."""
        starts = range(epoch, self.epochs, self.eval_every)
        return [(start, min(self.eval_every, self.epochs - start)) for start in starts]


@dataclasses.dataclass
class History:
    """The evaluations of a pack; evaluation first, then task, in every array."""

    epoch: list[int]
    records: list[Record]
    seconds: float = 0.0

    def flat(self) -> Flat:
        stacked = trees.stack(self.records)
        return {
            f"history.{field.name}": getattr(stacked, field.name)
            for field in dataclasses.fields(Record)
        } | {"history.epoch": np.array(self.epoch, np.int32)}

    @classmethod
    def of(cls, flat: Flat, seconds: float) -> "History":
        flat = {**flat, "history.inner_loss": _inner_loss(flat)}
        names = [field.name for field in dataclasses.fields(Record)]
        epochs = flat["history.epoch"].tolist()
        records = [
            Record(**{name: flat[f"history.{name}"][i] for name in names})
            for i in range(len(epochs))
        ]
        return cls(epochs, records, seconds)


@dataclasses.dataclass(frozen=True)
class Progress:
    """One evaluation of a pack, as told to whoever watches."""

    epoch: int
    record: Record
    seconds: float  # spent on this evaluation's epochs


@dataclasses.dataclass(frozen=True)
class PackResult:
    """A finished pack: predictions at each evaluation, and the weights kept."""

    tasks: tuple[Task, ...]
    epoch: np.ndarray  # e, of each evaluation
    alive: np.ndarray  # e f
    loss: np.ndarray  # e f
    test_logits: np.ndarray  # e f t k
    inner_uf1: np.ndarray  # e f, nan without inner clips
    inner_loss: np.ndarray  # e f, nan without inner clips and in older runs
    selected: np.ndarray  # f, epoch whose weights are kept and tested
    seconds: float
    weights: Flat  # "params.…" and "stats.…", task axis first


def train_pack(
    program: Program,
    tasks: Sequence[Task],
    table: TaskTable,
    data: Data,
    checkpoints: Checkpoints,
    schedule: Schedule,
    watch: Callable[[Progress], Any],
    *,
    stopping: Callable[[], bool] = lambda: False,
    notes: Mapping[str, Any] | None = None,
    start: Mapping[str, np.ndarray] | None = None,
) -> PackResult:
    """Trains `tasks` from where `checkpoints` left off, and saves the result there.

    Fresh tasks begin with the arrays of `start`, by path, where it has them; their
    first axis is that of `tasks`, or 1 where all begin with the same.

    `table` has a row for each task; rows are added to fill the devices, and dropped
    again from all that is saved, so that another machine can go on. `notes` (JSON
    values) are saved too.

    Raises: KeyboardInterrupt, after saving, once `stopping` says so.
    """
    run = _PackRun(
        program=program,
        tasks=tuple(tasks),
        table=table,
        data=data,
        checkpoints=checkpoints,
        schedule=schedule,
        notes=notes or {},
    )
    with contextlib.closing(run):
        return _trained(run, watch, stopping, start or {})


def _trained(
    run: "_PackRun",
    watch: Callable[[Progress], Any],
    stopping: Callable[[], bool],
    start: Mapping[str, np.ndarray],
) -> PackResult:
    run.begin(start)
    previous: tuple[list[int], Record] | None = None
    while run.epoch < run.schedule.epochs:
        current = run.advance()
        # The host looks at the last evaluations while the devices work on the next.
        if previous is not None:
            run.note(*previous, watch)
        previous = current
        stop = stopping()
        if stop or run.due():
            run.note(*previous, watch)
            previous = None
            run.save()
        if stop:
            run.checkpoints.finish()
            raise KeyboardInterrupt
    if previous is not None:
        run.note(*previous, watch)
    return run.finish()


class _PackRun:
    """The training of a pack under way: its state, and where it has got to."""

    def __init__(
        self,
        *,
        program: Program,
        tasks: tuple[Task, ...],
        table: TaskTable,
        data: Data,
        checkpoints: Checkpoints,
        schedule: Schedule,
        notes: Mapping[str, Any],
    ) -> None:
        self.program, self.tasks = program, tasks
        self.checkpoints, self.schedule, self.notes = checkpoints, schedule, notes
        rows = program.rows(tasks)
        self.table = jax.device_put(trees.take(table, rows), program.per_task)
        # Tasks are repeated to fill the devices; the first row of each is kept.
        self.rows, self.own = rows, np.unique(rows, return_index=True)[1]
        self.data = data
        self.running: Running | None = None
        self.state: TaskState
        self.epoch = 0
        self.history = History([], [])
        self.saved_at = self.noted_at = time.monotonic()

    def begin(self, start: Mapping[str, np.ndarray]) -> None:
        if self.checkpoints.epoch is None:
            self.state = first_state(self.program, self.table.key, self.rows, start)
            return
        self.epoch, flat, meta = self.checkpoints.restore()
        template = jax.eval_shape(self.program.init, self.table.key)
        state = unflatten(template, flat, self.checkpoints.folder)
        state = trees.take(state, self.rows)
        self.state = jax.device_put(state, self.program.per_task)
        self.history = History.of(flat, meta["seconds"])

    def advance(self) -> tuple[list[int], Record]:
        counts = self.schedule.counts(self.epoch, self.program.evaluations)
        if self.running is None:
            turns = self.schedule.turns(self.epoch)
            self.running = self.program.running(self.table, self.data, turns)
        self.state, record = self.running.advance(self.state, self.epoch, counts)
        epochs = (self.epoch + np.cumsum([c for c in counts if c])).tolist()
        self.epoch = epochs[-1]
        return epochs, record

    def close(self) -> None:
        if self.running is not None:
            self.running.close()

    def note(
        self, epochs: list[int], record: Record, watch: Callable[[Progress], Any]
    ) -> None:
        record = jax.device_get(record)
        now = time.monotonic()
        seconds, self.noted_at = now - self.noted_at, now
        self.history.seconds += seconds
        for i, epoch in enumerate(epochs):
            own = trees.take(record, (i, self.own))
            self.history.epoch.append(epoch)
            self.history.records.append(own)
            watch(Progress(epoch, own, seconds / len(epochs)))

    def due(self) -> bool:
        elapsed = time.monotonic() - self.saved_at
        return elapsed >= self.schedule.checkpoint_seconds

    def save(self) -> None:
        state = trees.take(jax.device_get(self.state), self.own)
        self._write({**flatten(state), **self.history.flat()}, finished=False)

    def finish(self) -> PackResult:
        state = trees.take(jax.device_get(self.state), self.own)
        if state.best is None:
            kept = {"params": state.tested.params, "stats": state.tested.stats}
            selected = np.full(len(self.tasks), self.schedule.epochs, np.int32)
        else:
            kept = {"params": state.best.params, "stats": state.best.stats}
            selected = np.asarray(state.best.epoch)
        arrays = {**flatten(kept), **self.history.flat(), "selected": selected}
        self._write(arrays, finished=True)
        self.checkpoints.finish()
        return result_of(arrays, self.tasks, self.history.seconds)

    def _write(self, arrays: Flat, *, finished: bool) -> None:
        meta = {
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
            "finished": finished,
            "seconds": self.history.seconds,
            **self.notes,
        }
        # The final save has the number after the last epoch's, so that it is new
        # even where that epoch was saved already.
        self.checkpoints.save(self.epoch + finished, arrays, meta)
        self.saved_at = time.monotonic()


def first_state(
    program: Program,
    key: PRNGKeyArray,
    rows: np.ndarray,
    start: Mapping[str, np.ndarray],
) -> TaskState:
    """The state before the first step of the tasks `rows`, one key each, whose weights
    are those of `start` (tasks first, or 1 for all) wherever it has them."""
    own = {
        path: value[rows] if len(value) > 1 else value for path, value in start.items()
    }
    return _started(program.init(key), own)


def _started(state: TaskState, start: Mapping[str, np.ndarray]) -> TaskState:
    if not start:
        return state

    def begun(part: Any) -> Any:
        # Each part has arrays of its own: they are donated.
        weights = {"params": part.params, "stats": part.stats}
        return dataclasses.replace(part, **replaced(weights, start))

    best = None if state.best is None else begun(state.best)
    average = None if state.average is None else begun(state.average)
    return dataclasses.replace(begun(state), best=best, average=average)


def result_of(flat: Flat, tasks: Sequence[Task], seconds: float) -> PackResult:
    """The result that a finished checkpoint holds."""
    return PackResult(
        tasks=tuple(tasks),
        epoch=flat["history.epoch"],
        alive=flat["history.alive"],
        loss=flat["history.loss"],
        test_logits=flat["history.test_logits"],
        inner_uf1=flat["history.inner_uf1"],
        inner_loss=_inner_loss(flat),
        selected=flat["selected"],
        seconds=seconds,
        weights={
            name: value
            for name, value in flat.items()
            if name.startswith(("params.", "stats."))
        },
    )


def _inner_loss(flat: Flat) -> np.ndarray:
    """Older versions did not keep it."""
    unknown = np.full_like(flat["history.inner_uf1"], np.nan)
    return flat.get("history.inner_loss", unknown)
