"""A live view of a run; plain lines where the output is no terminal."""

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jmer.files.ending import undoing
from jmer.runner.stages import SOONEST, Stage, current, stage
from jmer.text import duration

PAUSE = 10.0  # seconds between two lines
BAR, NARROWEST = 40, 8  # columns of a bar, where there is room and where there is none
ECHO = 3  # columns for the ^C that a terminal writes, or the line would become two
GAP = "  "


def line_of(share: float | None, parts: Sequence[tuple[int, str]], width: int) -> Table:
    """A bar with what there is to say, on one line of a terminal of that width.

    `parts` are how much each text matters, from 1, and the text, as they stand side by
    side: of what does not fit beside a short bar, the least important is left out.
    Without a `share` that is done, there is no bar.
    """
    width = max(width - ECHO, 2 * NARROWEST)
    bar = 0 if share is None else NARROWEST + len(GAP)
    percent = [] if share is None else [(0, f"{100 * share:3.0f} %")]
    shown = percent + [part for part in parts if part[1]]
    least = len(percent) + 1
    while len(shown) > least and bar + len(GAP.join(text for _, text in shown)) > width:
        shown.remove(max(shown, key=lambda part: part[0]))
    text = GAP.join(part for _, part in shown)
    grid = Table.grid()
    columns: list[ProgressBar | Text] = []
    if share is not None:
        text = text[: width - bar]
        room = min(BAR, width - len(GAP) - len(text))
        columns.append(ProgressBar(total=1.0, completed=share, width=room))
        grid.add_column(width=room)
        text = GAP + text
    grid.add_column(no_wrap=True, overflow="crop")
    grid.add_row(*columns, Text(text[:width], no_wrap=True, overflow="crop"))
    return grid


def left_of(share: float, seconds: float) -> str:
    """How much longer it takes, if `share` has taken so many seconds."""
    if share <= 0 or seconds <= 0:
        return ""
    return f"{whole(max(0.0, (1 - share) * seconds / share))} left"


def _is_drawn(console: Console) -> bool:
    """Whether a person sees a line being redrawn there; colour alone can be forced."""
    return console.file.isatty() and not console.is_dumb_terminal


def whole(seconds: float) -> str:
    """Without digits that change faster than one can read."""
    return f"{seconds:.0f} s" if seconds < 99.5 else duration(seconds)


@contextlib.contextmanager
def _drawn(live: Live) -> Iterator[None]:
    """The line is there while the block runs, and the terminal as before after it."""
    with undoing(live.stop), live:
        yield


def _stage_line(stage: Stage, width: int) -> Table:
    """What is done, how far it is, and for how long yet, or since when."""
    share, seconds = stage.share, stage.seconds
    left = "" if share is None else left_of(share, seconds)
    time_ = left or whole(seconds)
    parts = ((1, stage.what), (3, stage.counts), (4, stage.note), (2, time_))
    return line_of(share, parts, width)


@contextlib.contextmanager
def counting(
    what: str, then: str = SOONEST, *, patient: bool = False
) -> Iterator[Callable[..., None]]:
    """A stage with a bar of how many are done of how many, and a note if there is one,
    on the error stream; where that is no terminal, a line every `PAUSE` seconds. Where
    a run has a view, that has the bar.
    """
    with stage(what, then, patient=patient) as now:
        if _view is not None:
            yield now.count
            return
        console = Console(file=sys.stderr, highlight=False)
        told, drawn = [time.monotonic()], _is_drawn(console)

        def watch(done: int, total: int | None, note: str = "") -> None:
            now.count(done, total, note)
            if not drawn and time.monotonic() - told[0] > PAUSE:
                told[0] = time.monotonic()
                text = f"{what}: {now.counts or 0}" + (f"  {note}" if note else "")
                console.print(text, markup=False, soft_wrap=True)

        def line() -> Table:
            return _stage_line(now, console.width)

        live = Live(console=console, transient=True, get_renderable=line)
        with _drawn(live) if drawn else contextlib.nullcontext():
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

    def parts(self) -> list[tuple[int, str]]:
        """What there is to say, with how much each of it matters, from 1."""
        told = [
            (3, f"{self.done}/{self.tasks} tasks"),
            (2, f"epoch {self.epoch}/{self.epochs}"),
        ]
        if np.isfinite(self.loss):
            told.append((4, f"loss {self.loss:.4f}"))
        elapsed = time.monotonic() - self.since if self.since else 0.0
        if self.trained and elapsed > 0:
            rate = self.trained / elapsed  # task epochs a second
            left = (self.total - self.trained - self.resumed) / rate
            told += [
                (6, f"{rate / self.epochs:.3g} folds/s"),
                (5, f"{rate * self.clips:,.0f} clips/s"),
                (1, f"{duration(max(0.0, left))} left"),
            ]
        return told

    def line(self) -> str:
        return GAP.join(text for _, text in self.parts())

    @property
    def share(self) -> float:
        return (self.trained + self.resumed) / self.total


class Metered:
    """What is redrawn by itself: a view needs only to keep its meter."""

    _meter: Meter | None = None

    def begin(self, tasks: int, done: int, epochs: int, clips: float) -> None:
        self._meter = Meter(tasks, done, epochs, clips)

    def evaluated(self, tasks: int, epoch: int, new_epochs: int, loss: float) -> None:
        assert self._meter is not None
        self._meter.evaluated(tasks, epoch, new_epochs, loss)

    def finished(self, tasks: int) -> None:
        assert self._meter is not None
        self._meter.done += tasks


class LiveView(Metered):
    """A line that is redrawn, for a person at a terminal."""

    def __init__(self, console: Console):
        self._console = console
        self._live = Live(console=console, transient=True, get_renderable=self._line)
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(_drawn(self._live))

    def _line(self) -> Table:
        """What the run is at: the stage, or how far the training is."""
        meter, now, width = self._meter, current(), self._console.width
        if now is not None and (meter is None or now.share is not None):
            return _stage_line(now, width)
        if meter is None:
            return line_of(None, (), width)
        if now is not None and not (now.counted and meter.epoch):
            return line_of(meter.share, [(1, now.what), (2, whole(now.seconds))], width)
        return line_of(meter.share, meter.parts(), width)

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        forget(self)
        self._stack.close()


class PlainView:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console):
        self._console = console
        self._last = time.monotonic()
        self._closed = threading.Event()
        if math.isfinite(PAUSE):
            threading.Thread(target=self._tell, args=(PAUSE,), daemon=True).start()

    def _tell(self, pause: float) -> None:
        """Of stages that say nothing themselves, how long they take."""
        while not self._closed.wait(pause):
            now = current()
            if now is not None and not now.counted and now.seconds >= pause / 2:
                counts = f" {now.counts}," if now.counts else ""
                with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                    self.say(f"{now.what}:{counts} {whole(now.seconds)} so far")

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
        forget(self)
        self._closed.set()


_view: View | None = None


def make_view() -> View:
    """A live view on a terminal, else a plain one."""
    # The stream of now: preparing data hides what others print meanwhile.
    console = Console(file=sys.stdout)
    return watched(LiveView(console) if _is_drawn(console) else PlainView(console))


def watched(view: View) -> View:
    """The view, which is from now on the one that is spoken to."""
    global _view
    _view = view
    return view


def forget(view: View) -> None:
    """Ends that, where it was the one."""
    global _view
    if _view is view:
        _view = None


@contextlib.contextmanager
def views() -> Iterator[Callable[[], View]]:
    """Makes views; what is open of them when the block is left is closed."""
    try:
        yield make_view
    finally:
        if _view is not None:
            _view.close()


def announce(text: str) -> None:
    """On the view that was made last, from any thread."""
    if _view is None:
        print(text, flush=True)
    else:
        _view.say(text)
