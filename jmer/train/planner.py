"""How the tasks are laid out over the devices: measured on the real shapes."""

import collections
import dataclasses
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jmer.nn.lowering.choice import WORTH_TRYING, Lowering, default
from jmer.train.first_guesses import Guess
from jmer.train.probe import Layout, Probe, Work, out_of_memory
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
    estimate: float | None = None  # of its compiler: cycles, or bytes moved


def candidates(
    tasks: Sequence[Task],
    platform: str,
    *,
    together: bool,
    devices: Sequence[int],
    chunk: int | None = None,
    lowering: Lowering | None = None,
    guess: Guess | None = None,
) -> Iterator[Layout]:
    """Layouts worth trying, the likeliest first; what is given is not varied.

    Chunks divide the tasks of a seed evenly, so that few rows are repeated. `together`
    says whether tasks read the same clips, and `guess` what an accelerator begins with.
    """
    suited = guess.lowering if guess else default(platform)
    worth = WORTH_TRYING.get(platform, (suited,))
    lowerings = [lowering] if lowering else sorted(worth, key=lambda n: n != suited)
    for count in devices:
        sizes = [chunk] if chunk else _chunks(tasks, count)
        # Where nothing else is known, an accelerator wants all there is; a CPU, what
        # stays in its cache: one task, or some that share the products of their first
        # layer.
        wanted = (12 if together else 1) if platform == "cpu" else max(sizes)
        wanted = guess.chunk if guess else wanted
        sizes = sorted(sizes, key=lambda n: abs(math.log(n / wanted)))
        # The likeliest of both, then what differs in either by one place.
        pairs = itertools.product(enumerate(sizes), enumerate(lowerings))
        for (_, size), (_, lower) in sorted(pairs, key=lambda p: p[0][0] + p[1][0]):
            yield Layout(count, size, lower)


def widest(tasks: Sequence[Task], devices: int) -> int:
    """The widest chunk that is filled: tasks of one seed, a device's share of all."""
    return min(_per_seed(tasks), math.ceil(len(tasks) / devices))


def _per_seed(tasks: Sequence[Task]) -> int:
    return max(collections.Counter(task.seed for task in tasks).values())


def _chunks(tasks: Sequence[Task], devices: int) -> list[int]:
    """Even parts of a seed's tasks: all at once, halves, thirds ... one by one."""
    per_seed = _per_seed(tasks)
    across = 1 if len({task.seed for task in tasks}) >= devices else devices
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
    try:
        probe = probed(layout, work, steps)
        if limit is not None and probe.bytes > limit:
            return None
        seconds = timed(probe, repeats)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    seconds *= turns(layout, work)
    return Measurement(layout, seconds, probe.compile_seconds, probe.bytes)


def probed(layout: Layout, work: Work, steps: int = STEPS) -> Probe:
    """The layout's program of one chunk a device, compiled.

    Raises: as `Probe`.
    """
    seed = work.tasks[0].seed
    count = sum(task.seed == seed for task in work.tasks)  # sorted: those come first
    some = work.first(min(count, layout.chunk * layout.devices))
    return Probe(layout, some, steps=steps)


def timed(probe: Probe, repeats: int = REPEATS) -> float:
    """Seconds of an epoch of its tasks."""
    probe.warm_up()
    return statistics.median(probe.epoch_seconds() for _ in range(repeats))


def turns(layout: Layout, work: Work) -> int:
    """How many chunks a device trains, one after another."""
    rows = len(layout.program(work.trainer).rows(work.tasks))
    return rows // (layout.chunk * layout.devices)
