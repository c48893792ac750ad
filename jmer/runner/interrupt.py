"""Stopping at a moment of our choosing."""

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """While entered, SIGINT and SIGTERM ask to stop; a second one stops at once.

    Python would raise inside whatever runs at that moment, which may be a callback of
    XLA that swallows it; and a checkpoint can be saved first.
    """

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        """Whether somebody wants this process to stop."""
        return self._asked

    def __enter__(self) -> "Interruption":
        # Only the main thread may handle signals; elsewhere nothing is changed.
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            self._before = {
                number: signal.signal(number, self._note)
                for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._main:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
