"""Stopping at a moment of our choosing, and saying so at once."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from jmer.files.ending import end_at_once
from jmer.files.lock import tell
from jmer.runner.stages import SOONEST, current

ONCE_MORE = "once more to stop at once"
INTERRUPTED = "interrupted; the same command goes on"
EXIT_CODE = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO = signal.SIGURG  # which means nothing to a process that does not ask for it
# Seconds. Until a first wish counts as not heard; until a second one is carried out
# where Python is not reached; and where it is, for what it has to clean up.
SOON, AT_ONCE, CLEANING = 0.4, 0.7, 5.0
AGAIN = 0.02  # seconds until a wish is repeated that was swallowed
FAREWELL = b"\0"


def _forget() -> None:
    """In a process that was forked: its signals are not its parent's."""
    with contextlib.suppress(ValueError):
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_forget)


class Interruption:
    """While entered, SIGINT and SIGTERM ask to stop; a second one stops at once.

    A stage of a run that is `patient` looks whether it is `asked` to stop, and ends
    well: Python would raise inside whatever runs at that moment, which may be a
    callback of XLA that swallows it, and a checkpoint can be saved first. Elsewhere,
    and everywhere the second time, KeyboardInterrupt is raised; a `hasty` stage that
    Python does not reach ends with the process.

    Python runs handlers between its own instructions alone, and compiling is one that
    takes minutes. So a thread hears of signals too: it says at once what will be, and
    ends the process if a second one finds no other way. What was raised in a place that
    swallows it, as callbacks of the garbage collector do, is raised again.

    Of a process that `ends` not, such as a notebook's kernel, everything goes on after
    KeyboardInterrupt: a second signal is raised as soon as Python is reached.
    """

    def __init__(self, say: Callable[[str], Any] = tell, *, ends: bool = True) -> None:
        self._say, self._ends = say, ends
        self._heard = self._handled = 0
        self._raised = threading.Event()
        self._left = threading.Event()

    def asked(self) -> bool:
        """Whether somebody wants this process to stop."""
        return self._heard > 0 or self._handled > 0

    def __enter__(self) -> "Interruption":
        # Only the main thread may handle signals; elsewhere nothing is changed.
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._ear, self._mouth = os.pipe()
            os.set_blocking(self._mouth, False)
            self._outer = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
            self._before = {
                number: signal.signal(number, self._note) for number in (*SIGNALS, ECHO)
            }
            self._thread_of_handlers = threading.get_ident()
            self._hook, sys.unraisablehook = sys.unraisablehook, self._swallowed
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._main:
            return
        self._left.set()
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            # Once interrupted, the interpreter ends: a signal then just ends it sooner.
            default = handler is signal.default_int_handler
            ends = self._ends and self._raised.is_set() and default
            signal.signal(number, signal.SIG_DFL if ends else handler)
        signal.set_wakeup_fd(self._outer)
        os.write(self._mouth, FAREWELL)
        self._thread.join(CLEANING)
        os.close(self._mouth)
        os.close(self._ear)
        if self._raised.is_set() and isinstance(error, Exception):
            # Of whoever met the interruption, and made something else of it.
            raise KeyboardInterrupt from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between two instructions."""
        self._handled += number != ECHO
        now = current()
        patient = now is not None and now.patient
        if max(self._handled, self._heard) > 1 or not patient:
            self._raised.set()
            raise KeyboardInterrupt

    def _swallowed(self, what: "sys.UnraisableHookArgs") -> None:
        """Where nobody above can meet an exception, Python only tells of it."""
        if what.exc_type is not KeyboardInterrupt:
            self._hook(what)
        elif not self._left.is_set():
            threading.Timer(AGAIN, self._echo).start()

    def _echo(self) -> None:
        if not self._left.is_set():
            signal.pthread_kill(self._thread_of_handlers, ECHO)

    def _listen(self) -> None:
        """In a thread, as soon as a signal has come."""
        with contextlib.suppress(OSError):
            while (came := os.read(self._ear, 1)) != FAREWELL:
                if came[0] not in SIGNALS:  # whose handler is somebody else's
                    continue
                self._heard += 1
                if self._heard == 1:
                    self._answer()
                elif self._heard == 2 and self._ends:
                    threading.Thread(target=self._insist, daemon=True).start()

    def _answer(self) -> None:
        now = current()
        if now is None or not now.patient:
            # Python ends by itself, and says so, unless it is busy elsewhere.
            self._raised.wait(SOON)
            if self._raised.is_set() or self._left.is_set():
                return
            if now is not None and now.hasty and self._ends:
                end_at_once(EXIT_CODE, INTERRUPTED)
        then = SOONEST if now is None else now.then
        with contextlib.suppress(OSError, ValueError):  # nobody may be reading
            self._say(f"stopping: {then}; {ONCE_MORE}")

    def _insist(self) -> None:
        """Waits a moment for Python to end by itself, then ends the process."""
        if self._raised.wait(AT_ONCE) and self._left.wait(CLEANING):
            # The program says so, and ends, unless the interpreter waits for threads.
            threading.Event().wait(AT_ONCE)
            end_at_once(EXIT_CODE)
        end_at_once(EXIT_CODE, INTERRUPTED)
