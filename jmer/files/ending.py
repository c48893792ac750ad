"""What is put right when the process must end in the middle of something."""

import contextlib
import os
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


def end_at_once(code: int) -> NoReturn:
    """Ends the process from any thread, whatever the others do, with nothing left
    behind of the blocks that they are in: the innermost first.
    """
    for undo in reversed(_undoing.copy()):
        with contextlib.suppress(Exception):
            undo()
    os._exit(code)
