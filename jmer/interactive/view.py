"""A run watched from a notebook: a bar that is redrawn in place."""

import contextlib
import html
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jmer.runner import progress
from jmer.runner.progress import GAP, Metered, View, left_of, whole
from jmer.runner.stages import current

PAUSE = 0.5  # seconds between two looks


class Bar:
    """What the run is at: HTML for a notebook, a line of text elsewhere."""

    def __init__(self, share: float | None, text: str) -> None:
        self.share, self.text = share, text

    def __repr__(self) -> str:
        share = "" if self.share is None else f"{100 * self.share:.0f} %{GAP}"
        return share + self.text

    def _repr_html_(self) -> str:
        value = "" if self.share is None else f' value="{self.share:.4f}"'
        return (
            f'<div><progress{value} max="1" aria-label="progress" '
            f'style="width:16em;vertical-align:middle"></progress> '
            f"{html.escape(repr(self))}</div>"
        )


class NotebookView(Metered):
    """A bar that `show` puts up, and that what it returns is `update`d with; what there
    is to say is printed above."""

    def __init__(self, show: Callable[[Bar], Any]) -> None:
        self._closed = threading.Event()
        self._handle = show(self._bar())
        threading.Thread(target=self._redraw, daemon=True).start()

    def _redraw(self) -> None:
        while not self._closed.wait(PAUSE):
            with contextlib.suppress(Exception):  # nobody may be looking any more
                self._handle.update(self._bar())

    def _bar(self) -> Bar:
        """A stage that counts, or takes its time; else how far the training is."""
        meter, now = self._meter, current()
        if now is not None and not (meter and now.counted):
            share, seconds = now.share, now.seconds
            left = "" if share is None else left_of(share, seconds)
            parts = [now.what, now.counts, now.note, left or whole(seconds)]
            if share is None and meter is not None and meter.epoch:
                share = meter.share
            return Bar(share, GAP.join(filter(None, parts)))
        if meter is None:
            return Bar(None, "")
        return Bar(meter.share, meter.line())

    def say(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        progress.forget(self)
        self._closed.set()
        if self._meter is not None:
            done = f"{self._meter.done}/{self._meter.tasks} tasks"
            with contextlib.suppress(Exception):
                self._handle.update(Bar(self._meter.share, done))


def notebook() -> Callable[[Bar], Any] | None:
    """What shows a bar in the notebook at work; None where there is none."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if not hasattr(shell, "kernel"):  # a terminal
        return None
    from IPython.display import display

    return lambda bar: display(bar, display_id=True)


def make_view() -> View:
    """A bar in a notebook; elsewhere what the command line has."""
    show = notebook()
    return (
        progress.make_view() if show is None else progress.watched(NotebookView(show))
    )


@contextlib.contextmanager
def views() -> Iterator[Callable[[], View]]:
    """As `progress.views`, for whoever is watching."""
    with progress.views():
        yield make_view
