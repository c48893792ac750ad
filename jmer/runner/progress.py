"""A live view of a run; plain lines where the output is no terminal."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from jmer.text import duration

PAUSE = 10.0  # seconds between two lines


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[..., None]]:
    """A bar of how many are done of how many, and a note if there is one, on the error
    stream; where that is no terminal, a line every `PAUSE` seconds.
    """
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True)
    shown = bar.add_task(what, total=None)
    told = [time.monotonic()]

    def watch(done: int, total: int | None, note: str = "") -> None:
        described = f"{what}  {note}" if note else what
        bar.update(shown, completed=done, total=total, description=described)
        if not console.is_terminal and time.monotonic() - told[0] > PAUSE:
            told[0] = time.monotonic()
            of = f"/{total}" if total else ""
            console.print(f"{what}: {done}{of}" + (f"  {note}" if note else ""))

    with bar if console.is_terminal else contextlib.nullcontext():
        yield watch


class View(Protocol):
    """Whoever watches a run."""

    def say(self, text: str) -> None: ...

    def begin(self, tasks: int, done: int, epochs: int, clips: float) -> None:
        """`tasks` in all, `done` already; `clips` are trained per task and epoch."""

    def evaluated(self, tasks: int, epoch: int, new_epochs: int, loss: float) -> None:
        """A pack of `tasks` has reached `epoch`, `new_epochs` more than before."""

    def finished(self, tasks: int) -> None:
        """A pack of `tasks` is done."""

    def close(self) -> None: ...


class Meter:
    """Counts what was trained, and from that tells rates and the time left."""

    def __init__(self, tasks: int, done: int, epochs: int, clips: float):
        self.tasks, self.done, self.epochs, self.clips = tasks, done, epochs, clips
        self.total = max(1, (tasks - done) * epochs)
        self.trained = self.resumed = 0
        self.since: float | None = None  # the first evaluation pays for compiling
        self.epoch, self.loss = 0, float("nan")

    def evaluated(self, tasks: int, epoch: int, new_epochs: int, loss: float) -> None:
        self.epoch, self.loss = epoch, loss
        if self.since is None:
            self.since, self.resumed = time.monotonic(), tasks * epoch
        else:
            self.trained += tasks * new_epochs

    def line(self) -> str:
        text = f"{self.done}/{self.tasks} tasks  epoch {self.epoch}/{self.epochs}"
        if np.isfinite(self.loss):
            text += f"  loss {self.loss:.4f}"
        elapsed = time.monotonic() - self.since if self.since else 0.0
        if self.trained and elapsed > 0:
            rate = self.trained / elapsed  # task epochs a second
            left = (self.total - self.trained - self.resumed) / rate
            text += (
                f"  {rate / self.epochs:.3g} folds/s  {rate * self.clips:,.0f} clips/s"
                f"  {duration(max(0.0, left))} left"
            )
        return text

    @property
    def share(self) -> float:
        return (self.trained + self.resumed) / self.total


class LiveView:
    """A bar that is redrawn, for a person at a terminal."""

    def __init__(self, console: Console):
        columns = BarColumn(), TextColumn("{task.percentage:>3.0f}% {task.description}")
        self._progress = Progress(*columns, console=console, transient=True)

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False)

    def begin(self, tasks: int, done: int, epochs: int, clips: float) -> None:
        self._meter = Meter(tasks, done, epochs, clips)
        self._bar = self._progress.add_task("compiling", total=1.0)
        self._progress.start()

    def evaluated(self, tasks: int, epoch: int, new_epochs: int, loss: float) -> None:
        self._meter.evaluated(tasks, epoch, new_epochs, loss)
        self._progress.update(
            self._bar, completed=self._meter.share, description=self._meter.line()
        )

    def finished(self, tasks: int) -> None:
        self._meter.done += tasks

    def close(self) -> None:
        self._progress.stop()


class PlainView:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console):
        self._console = console
        self._last = time.monotonic()

    def say(self, text: str) -> None:
        # Lines are for other programs too: they are neither wrapped nor coloured.
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, tasks: int, done: int, epochs: int, clips: float) -> None:
        self._meter = Meter(tasks, done, epochs, clips)

    def evaluated(self, tasks: int, epoch: int, new_epochs: int, loss: float) -> None:
        self._meter.evaluated(tasks, epoch, new_epochs, loss)
        if time.monotonic() - self._last >= PAUSE:
            self._last = time.monotonic()
            self.say(self._meter.line())

    def finished(self, tasks: int) -> None:
        self._meter.done += tasks
        self.say(self._meter.line())

    def close(self) -> None:
        pass


def make_view() -> View:
    """A live view on a terminal, else a plain one."""
    console = Console()
    return LiveView(console) if console.is_terminal else PlainView(console)
