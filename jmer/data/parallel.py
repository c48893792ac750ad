"""Work on many items at once, in their order."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

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
