"""How the tasks are laid out over the devices: measured on the real shapes."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jmer.nn.lowering.choice import WORTH_TRYING, Lowering
from jmer.train.probe import Layout, Probe, Work
from jmer.train.tasks import Task

STEPS = 3  # of an epoch, in one measurement
REPEATS = 3
SHARE = 0.1  # of the predicted training that planning may take


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a layout was seen to take."""

    layout: Layout
    seconds: float  # for an epoch of all tasks, evaluation included
    compile_seconds: float
    bytes: int  # on the fullest device, for one chunk and the whole set


def candidates(
    tasks: Sequence[Task],
    platform: str,
    *,
    together: bool,
    devices: Sequence[int],
    chunk: int | None = None,
    lowering: Lowering | None = None,
) -> Iterator[Layout]:
    """Layouts worth trying, the likeliest first; what is given is not varied.

    Chunks divide the tasks of a seed evenly, so that few rows are repeated. `together`
    says whether tasks read the same clips.
    """
    for lower in (lowering,) if lowering else WORTH_TRYING[platform]:
        for count in devices:
            sizes = [chunk] if chunk else _chunks(tasks, count)
            # An accelerator wants all there is; a CPU, what stays in its cache: one
            # task, or some that share the products of their first layer.
            wanted = (12 if together else 1) if platform == "cpu" else max(sizes)
            for size in sorted(sizes, key=lambda n: abs(math.log(n / wanted))):
                yield Layout(count, size, lower)


def _chunks(tasks: Sequence[Task], devices: int) -> list[int]:
    """Even parts of a seed's tasks: all at once, halves, thirds ... one by one."""
    seeds = {task.seed for task in tasks}
    per_seed = max(sum(task.seed == seed for task in tasks) for seed in seeds)
    across = 1 if len(seeds) >= devices else devices
    parts = [1, 2, 3, 4, 6, 8, 12, 16]
    return sorted({math.ceil(per_seed / (across * part)) for part in parts} | {1})


def choose(
    layouts: Iterator[Layout],
    work: Work,
    *,
    seconds: float,
    limit: float | None,
    say: Callable[[str], Any] = lambda text: None,
) -> list[Measurement]:
    """Measured layouts, the fastest first, tried until `seconds` have passed or a
    tenth of what the training will take.

    Those that need more than `limit` bytes on a device are left out.
    """
    start = time.monotonic()
    found: list[Measurement] = []
    for layout in layouts:
        if found:
            best = min(m.seconds for m in found)
            spent = time.monotonic() - start
            last = found[-1].compile_seconds
            if spent + last > min(seconds, SHARE * best * work.epochs):
                break
        measured = measure(layout, work, limit)
        if measured is not None:
            found.append(measured)
            say(
                f"  {layout}: {measured.seconds:.3g} s an epoch, "
                f"{measured.bytes / 1e6:.0f} MB"
            )
    return sorted(found, key=lambda m: m.seconds)


def measure(
    layout: Layout,
    work: Work,
    limit: float | None,
    *,
    steps: int = STEPS,
    repeats: int = REPEATS,
) -> Measurement | None:
    """The layout on one chunk a device, a few steps; None if it does not fit."""
    seed = work.tasks[0].seed
    count = sum(task.seed == seed for task in work.tasks)  # sorted: those come first
    some = work.first(min(count, layout.chunk * layout.devices))
    try:
        probe = Probe(layout, some, steps=steps)
        if limit is not None and probe.bytes > limit:
            return None
        probe.warm_up()
        seconds = statistics.median(probe.epoch_seconds() for _ in range(repeats))
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    rows = len(layout.program(work.trainer).rows(work.tasks))
    chunks = rows // (layout.chunk * layout.devices)
    return Measurement(layout, seconds * chunks, probe.compile_seconds, probe.bytes)


def out_of_memory(error: Exception) -> bool:
    """Whether the runtime says so."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()
