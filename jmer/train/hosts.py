"""Several processes that share a run: who does what, and how they agree."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jax.experimental import multihost_utils

from jmer.errors import JmerError, UsageError

T = TypeVar("T")


def connect(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins the other processes, before JAX has looked at any device.

    With nothing given, JAX finds them where a launcher says that there are several
    (Slurm, Open MPI, TPU pod slices, GKE, `JAX_COORDINATOR_ADDRESS`).

    Raises: UsageError if only a part is given; JmerError if they do not meet.
    """
    given = (coordinator, num_processes, process_id)
    by_hand = any(value is not None for value in given)
    if by_hand and any(value is None for value in given):
        raise UsageError(
            "--coordinator HOST:PORT, --num-processes and --process-id go together"
        )
    if by_hand and not 0 <= process_id < num_processes:  # type: ignore[operator]
        raise UsageError(f"--process-id={process_id} must be 0 to {num_processes} - 1")
    if not by_hand and not _launched():
        return
    try:
        jax.distributed.initialize(*given)
    except (RuntimeError, ValueError) as error:
        raise JmerError(
            f"the processes of this run do not meet: {error}. Check that all were "
            f"started, with the same --coordinator (now {coordinator}) and a "
            f"--process-id of their own."
        ) from error


def _launched() -> bool:
    """Whether a launcher has started several processes."""
    environment = os.environ
    counts = (environment.get(n, "1") for n in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"))
    workers = environment.get("TPU_WORKER_HOSTNAMES", "").split(",")
    return (
        any(count.isdigit() and int(count) > 1 for count in counts)
        or len(workers) > 1
        or "JAX_COORDINATOR_ADDRESS" in environment
        or "MEGASCALE_COORDINATOR_ADDRESS" in environment
    )


def is_first() -> bool:
    """Whether this process writes the results."""
    return jax.process_index() == 0


def gather(content: bytes) -> list[bytes]:
    """The contents of all processes, in their order, on each of them."""
    if jax.process_count() == 1:
        return [content]
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
