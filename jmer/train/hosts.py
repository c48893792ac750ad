"""Several processes that share a run: who does what, and how they agree."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jax.experimental import multihost_utils

from jmer.errors import JmerError, UsageError
from jmer.train.backend import explain
from jmer.train.channel import Channel, Lost
from jmer.train.launcher import Launch, find_launch, split_address
from jmer.train.meeting import meet

T = TypeVar("T")
MEETING_SECONDS = 60.0
BY_HAND = "--coordinator HOST:PORT, --num-processes and --process-id"

_channel: Channel | None = None
_alone = False


def launched(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    alone: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Launch | None:
    """Which of several processes this is; None if it was started alone, or is to be
    `alone` whatever a launcher says.

    With nothing given, a launcher's variables say so (`jmer.train.launcher`).

    Raises: UsageError if only a part is given; JmerError if a launcher says only that.
    """
    given = (coordinator, num_processes, process_id)
    if alone:
        if any(value is not None for value in given):
            raise UsageError(f"--alone and {BY_HAND} exclude one another")
        return None
    if num_processes is None and process_id is None:
        launch = find_launch(environment or os.environ, coordinator=coordinator)
        if coordinator is None or launch is not None:
            return launch
    if coordinator is None or num_processes is None or process_id is None:
        raise UsageError(f"{BY_HAND} go together")
    if num_processes < 1:
        raise UsageError(f"--num-processes={num_processes} must be at least 1")
    if not 0 <= process_id < num_processes:
        raise UsageError(
            f"--process-id={process_id} must be from 0 to {num_processes - 1}, below "
            f"--num-processes"
        )
    if num_processes == 1:
        return None
    host, port = split_address(coordinator)
    return Launch(process_id, num_processes, host, port, "--coordinator")


@contextlib.contextmanager
def together(
    launch: Launch | None,
    *,
    alone: bool = False,
    seconds: float = MEETING_SECONDS,
    say: Callable[[str], Any] = print,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Callable[[], bool]]:
    """Meets the other processes of `launch`, before JAX has looked at any device, and
    is one of them while the block runs. Yields what says that the block is to end:
    `stopping`, or the loss of another process.

    If one ends before its time, all others do, with one sentence about it.

    Raises: JmerError if they do not meet within `seconds`; Lost.
    """
    global _channel, _alone
    _alone = alone
    if launch is None:
        yield stopping
        return
    channel = meet(launch, seconds=seconds, say=say, stopping=stopping)
    if launch.gpu is not None and _sees_several_gpus(launch.gpu):
        jax.config.update("jax_cuda_visible_devices", str(launch.gpu))
    _channel = channel
    words: str | None = None
    try:
        yield lambda: channel.lost is not None or stopping()
    except KeyboardInterrupt:
        if channel.lost is not None and not stopping():
            raise Lost(channel.lost) from None
        words = "it was interrupted"
        raise
    except BaseException as error:
        words = None if isinstance(error, Lost) else _last_words(error)
        raise
    finally:
        channel.close(words)
        _channel = None


def _last_words(error: BaseException) -> str:
    if isinstance(error, JmerError):
        return " ".join(str(error).split())
    text = explain(error) or next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {text}"


def _sees_several_gpus(index: int) -> bool:
    """False where a launcher shows each process its own alone."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible is None or len(visible.split(",")) > index


def count() -> int:
    """How many processes share this run."""
    if _channel is not None:
        return _channel.count
    return 1 if _alone else jax.process_count()


def index() -> int:
    """Which of them this is."""
    if _channel is not None:
        return _channel.index
    return 0 if _alone else jax.process_index()


def is_first() -> bool:
    """Whether this process writes the results."""
    return index() == 0


def gather(content: bytes) -> list[bytes]:
    """The contents of all processes, in their order, on each of them.

    Raises: Lost if one of them has ended.
    """
    if _channel is not None:
        return _channel.gather(content)
    if count() == 1:
        return [content]
    # A TPU slice that has found itself.
    sizes = multihost_utils.process_allgather(np.int32(len(content)))
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(padded))
    return [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]


def gather_json(value: Any) -> list[Any]:
    """The same, of JSON values."""
    return [json.loads(content) for content in gather(json.dumps(value).encode())]


def wait() -> None:
    """Until every process is here."""
    gather(b"")


def require_agreement(state: Any, folder: Path) -> None:
    """Raises: JmerError if the processes see different things in `folder`."""
    seen = gather_json(state)
    if any(other != seen[0] for other in seen):
        raise JmerError(
            f"the processes of this run see different files in {folder}. Give a "
            f"--run-dir on a file system that all of them share."
        )


def require_same(facts: Mapping[str, Any], what: str) -> None:
    """Every process has the same `facts`, JSON values by name, or none goes on.

    Raises: JmerError, on every process, that names `what` differs in which field
    between which processes.
    """
    told = gather_json(facts)
    for other, theirs in enumerate(told):
        for name in [*told[0], *(n for n in theirs if n not in told[0])]:
            if told[0].get(name) != theirs.get(name):
                raise JmerError(
                    f"the processes of this run differ in {what}: {name} is "
                    f"{told[0].get(name)} on process 0 and {theirs.get(name)} on "
                    f"process {other}. Start all of them with the same options, files "
                    f"and versions; none has begun."
                )


def all_or_none(function: Callable[[], T]) -> T:
    """Calls `function` on every process; if it fails on one, it fails on all.

    Raises: JmerError, on every process, if it raised one anywhere.
    """
    problem: JmerError | None = None
    result: T | None = None
    try:
        result = function()
    except JmerError as error:
        problem = error
    told = gather_json(None if problem is None else str(problem))
    if problem is not None:
        raise problem
    for process, text in enumerate(told):
        if text is not None:
            raise JmerError(f"process {process}: {text}")
    return cast(T, result)


def first_then_all(function: Callable[[], T]) -> T | None:
    """Calls `function` on the first process; all wait for it, and share its failure.

    Returns its result there, None elsewhere.

    Raises: JmerError, on every process, if it raised one.
    """
    problem: JmerError | None = None
    result: T | None = None
    if is_first():
        try:
            result = function()
        except JmerError as error:
            problem = error
    told = gather_json(None if problem is None else str(problem))[0]
    if problem is not None:
        raise problem
    if told is not None:
        raise JmerError(told)
    return result
