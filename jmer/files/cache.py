"""Jmer's folder of what can be made anew, and who makes it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files.lock import owned
from jmer.files.places import from_environment, user_cache


def cache_folder() -> Path:
    """Where jmer remembers plans, compiled programs, features and rows: `JMER_CACHE`,
    or `jmer` in the user's cache folder.
    """
    if os.environ.get("JMER_CACHE"):
        return from_environment("JMER_CACHE", Path())
    return user_cache() / "jmer"


@contextlib.contextmanager
def in_cache(
    file: Path,
    what: str,
    say: Callable[[str], Any],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Has a file of the cache folder for itself while it is made; other processes that
    want it wait. Where nothing can be written, there is nothing to wait for.

    Raises: KeyboardInterrupt once `stopping` says so while it waits.
    """
    lock = file.with_name(f".{file.name}.lock")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(JmerError):
            stack.enter_context(
                owned(lock, what, wait=True, say=say, stopping=stopping)
            )
        yield
