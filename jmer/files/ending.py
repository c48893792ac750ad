"""What is put right when the process must end in the middle of something."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

_undoing: list[Callable[[], object]] = []


@contextlib.contextmanager
def undoing(undo: Callable[[], object]) -> Iterator[None]:
    """While the block runs, `undo` is something that `end_at_once` does first.

    It removes what the block would remove itself, were there time to leave it.
    """
    _undoing.append(undo)
    try:
        yield
    finally:
        _undoing.remove(undo)


def end_at_once(code: int, saying: str = "") -> NoReturn:
    """Ends the process from any thread, whatever the others do, with nothing left
    behind of the blocks that they are in: the innermost first. Then it is `saying` a
    line on the error stream.
    """
    for undo in reversed(_undoing.copy()):
        with contextlib.suppress(Exception):
            undo()
    if saying:
        with contextlib.suppress(OSError, ValueError):
            print(saying, file=sys.__stderr__, flush=True)
    os._exit(code)
