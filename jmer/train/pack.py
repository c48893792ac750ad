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
from jmer.train.early import filled, running, smaller, spread
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
        values = {
            f"history.{field.name}": getattr(stacked, field.name)
            for field in dataclasses.fields(Record)
        }
        values["history.epoch"] = np.array(self.epoch, np.int32)
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def of(cls, flat: Flat, seconds: float) -> "History":
        flat = {**flat, "history.inner_loss": _inner_loss(flat)}
        names = [field.name for field in dataclasses.fields(Record)]
        names = [name for name in names if f"history.{name}" in flat]
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
    stopped: np.ndarray | None = None  # f, epoch that a task stopped after; 0 if never


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
    while run.epoch < run.schedule.epochs and not run.all_stopped:
        current = run.advance()
        # The host looks at the last evaluations while the devices work on the next,
        # unless these tell which tasks go on.
        if previous is not None:
            run.note(*previous, watch)
        previous = current
        if run.program.trainer.patience:
            run.note(*previous, watch)
            previous = None
            run.shrink()
        stop = stopping()
        if stop or run.due():
            if previous is not None:
                run.note(*previous, watch)
                previous = None
            run.save()
        if stop:
            run.checkpoints.finish()
            raise KeyboardInterrupt
    if previous is not None:
        run.note(*previous, watch)
    run.fill(watch)
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
        self.every, self.data = table, data
        self.running: Running | None = None
        self.state: TaskState
        self.left: TaskState | None = None  # of tasks that have left, at their places
        self._lay_out(np.arange(len(tasks)))
        self.epoch = 0
        self.history = History([], [])
        self.saved_at = self.noted_at = time.monotonic()

    def _lay_out(self, places: np.ndarray) -> None:
        """The rows of the tasks at these places, those that the program has."""
        tasks = [self.tasks[i] for i in places]
        self.places, rows = places, self.program.rows(tasks)
        # Tasks are repeated to fill the devices; the first row of each is kept.
        self.rows, self.own = places[rows], np.unique(rows, return_index=True)[1]
        table = trees.take(self.every, self.rows)
        self.table = jax.device_put(table, self.program.per_task)

    def begin(self, start: Mapping[str, np.ndarray]) -> None:
        if self.checkpoints.epoch is None:
            self.state = first_state(self.program, self.table.key, self.rows, start)
            return
        self.epoch, flat, meta = self.checkpoints.restore()
        template = jax.eval_shape(self.program.init, self.table.key)
        state = unflatten(template, flat, self.checkpoints.folder)
        self.history = History.of(flat, meta["seconds"])
        self._put(state)
        self._shrunk_as_before(state)

    def _put(self, state: TaskState) -> None:
        """The states of all tasks, of which the program has its own."""
        rows = trees.take(state, self.rows)
        self.state = jax.device_put(rows, self.program.per_task)

    @property
    def all_stopped(self) -> bool:
        records = self.history.records
        stopped = records[-1].stopped if records else None
        return stopped is not None and bool((stopped > 0).all())

    def whole(self) -> TaskState:
        """The states of all tasks, on the host."""
        state = trees.take(jax.device_get(self.state), self.own)
        return state if self.left is None else spread(self.left, state, self.places)

    def shrink(self) -> None:
        """Goes on with the tasks that have not stopped, once they are few enough."""
        if (found := self._smaller(self.history.records[-1])) is not None:
            self._go_on(*found, self.whole())

    def _smaller(self, record: Record) -> tuple[Program, np.ndarray] | None:
        places = running(record)
        if not len(places):
            return None
        tasks = [self.tasks[i] for i in places]
        program = smaller(self.program, tasks, len(self.rows))
        return None if program is None else (program, places)

    def _go_on(self, program: Program, places: np.ndarray, state: TaskState) -> None:
        self.close()
        own = trees.take(self.every, places)
        self.program = program.fitting(own, len(self.data.label))
        self.left, self.running = state, None
        self._lay_out(places)
        self._put(state)

    def _shrunk_as_before(self, state: TaskState) -> None:
        """The program that a training which was not interrupted has by now."""
        if not self.program.trainer.patience:
            return
        # It looks once a call, after the last evaluation of that.
        every = self.program.evaluations
        for record in self.history.records[every - 1 :: every]:
            if (found := self._smaller(record)) is not None:
                self._go_on(*found, state)

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
            self._add(epoch, trees.take(record, (i, self.own)))
            last = self.history.records[-1]
            watch(Progress(epoch, last, seconds / len(epochs)))

    def _add(self, epoch: int, own: Record) -> None:
        """One more evaluation, of the tasks that the program has."""
        records = self.history.records
        last = records[-1] if records else None
        if last is not None and len(self.places) < len(self.tasks):
            own = spread(last, own, self.places)
        self.history.epoch.append(epoch)
        records.append(filled(own, last, epoch))

    def fill(self, watch: Callable[[Progress], Any]) -> None:
        """Where all tasks have stopped: the evaluations that are left, which would find
        what the last one did."""
        for first, count in self.schedule.turns(self.epoch):
            last = self.history.records[-1]
            self.history.epoch.append(first + count)
            self.history.records.append(last)
            watch(Progress(first + count, last, 0.0))
        self.epoch = self.schedule.epochs

    def due(self) -> bool:
        elapsed = time.monotonic() - self.saved_at
        return elapsed >= self.schedule.checkpoint_seconds

    def save(self) -> None:
        state = self.whole()
        self._write({**flatten(state), **self.history.flat()}, finished=False)

    def finish(self) -> PackResult:
        state = self.whole()
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
    return _started(program.first_states(key), own)


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
        stopped=flat["history.stopped"][-1] if "history.stopped" in flat else None,
    )


def _inner_loss(flat: Flat) -> np.ndarray:
    """Older versions did not keep it."""
    unknown = np.full_like(flat["history.inner_uf1"], np.nan)
    return flat.get("history.inner_loss", unknown)
