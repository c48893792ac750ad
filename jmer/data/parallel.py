"""Work on many items at once, in their order."""

import collections
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from jmer.data.machine import cores

ClipWatch = Callable[[int, int | None], object]
"""Is told how many clips are done, and of how many where that is known."""

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    function: Callable[[T], R], items: Iterable[T], workers: int
) -> Iterator[R]:
    """`map` on `workers` threads, which are never further ahead than their number.

    Threads share what decodes and estimates flow, which lets go of Python's lock.
    """
    pending: collections.deque[Future[R]] = collections.deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


@functools.cache
def shared_pool() -> ThreadPoolExecutor:
    """Threads for what those of `in_order` have to do at once, one for each core: every
    one with a pool of its own would have the square of the cores in flight.

    What is given to it may not wait for it.
    """
    return ThreadPoolExecutor(cores(), thread_name_prefix="jmer")


# A child has no threads of its parent.
os.register_at_fork(after_in_child=shared_pool.cache_clear)
