"""How the tasks are laid out over the devices: measured on the real shapes."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmer import trees
from jmer.nn.lowering import LOWERINGS, Lowering, default
from jmer.train.folds import Program
from jmer.train.mesh import make_mesh
from jmer.train.step import Data, Trainer
from jmer.train.tasks import Task, TaskTable

STEPS = 3  # of an epoch, in one measurement
REPEATS = 3
SHARE = 0.1  # of the predicted training that planning may take


@dataclasses.dataclass(frozen=True)
class Layout:
    """A way to run a pack; no number depends on it, but for rounding."""

    devices: int
    chunk: int  # tasks side by side on a device
    lowering: Lowering

    def program(self, trainer: Trainer, evaluations: int = 1) -> Program:
        trainer = dataclasses.replace(trainer, lowering=self.lowering)
        return Program(trainer, make_mesh(self.devices), self.chunk, evaluations)

    def __str__(self) -> str:
        return (
            f"{self.devices} device{'s' * (self.devices > 1)}, "
            f"{self.chunk} at a time on each, {self.lowering}"
        )


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a layout was seen to take."""

    layout: Layout
    seconds: float  # for an epoch of all tasks, evaluation included
    compile_seconds: float
    bytes: int  # on the fullest device, for one chunk and the whole set

    def record(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be laid out."""

    trainer: Trainer
    tasks: tuple[Task, ...]
    table: TaskTable
    data: Data
    epochs: int
    eval_every: int

    def chunks(self, layout: Layout) -> int:
        """Chunks of the fullest device."""
        rows = len(layout.program(self.trainer).rows(self.tasks))
        return rows // (layout.chunk * layout.devices)


def candidates(
    work: Work,
    platform: str,
    *,
    devices: Sequence[int],
    chunk: int | None = None,
    lowering: Lowering | None = None,
) -> Iterator[Layout]:
    """Layouts worth trying, the likeliest first; what is given is not varied.

    Chunks divide the tasks of a seed evenly, so that few rows are repeated.
    """
    suited = default(platform)
    lowerings = [lowering] if lowering else sorted(LOWERINGS, key=lambda n: n != suited)
    if platform == "cpu" and lowering is None:
        lowerings = [suited]  # convolutions in a loop are 10 to 30 times slower there
    for lower in lowerings:
        for count in devices:
            sizes = [chunk] if chunk else _chunks(work.tasks, count)
            # A CPU wants a pack that stays in its cache; an accelerator, all there is.
            wanted = 12 if platform == "cpu" else max(sizes)
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


def measure(layout: Layout, work: Work, limit: float | None) -> Measurement | None:
    """The layout on one chunk a device, a few steps; None if it does not fit."""
    plan = work.trainer.plan
    steps = min(plan.steps, STEPS)
    trainer = dataclasses.replace(
        work.trainer, plan=dataclasses.replace(plan, steps=steps)
    )
    program = layout.program(trainer)
    some = [t for t in work.tasks if t.seed == work.tasks[0].seed]
    rows = program.rows(some)[: layout.chunk * layout.devices]
    where = [work.tasks.index(some[row]) for row in rows]
    table = jax.device_put(trees.take(work.table, jnp.array(where)), program.per_task)
    data = jax.device_put(work.data, program.shared)
    start = time.monotonic()
    try:
        compiled = program.compiled(table, data)
        size = device_bytes(compiled)
        if limit is not None and size > limit:
            return None
        compile_seconds = time.monotonic() - start
        state = program.init(table.key)

        def run(count: int) -> float:
            nonlocal state
            start = time.monotonic()
            state, _ = compiled(
                state, table, data, jnp.int32(0), jnp.full(1, count, jnp.int32)
            )
            jax.block_until_ready(state)
            return time.monotonic() - start

        run(1)
        evaluation = statistics.median(run(0) for _ in range(REPEATS))
        whole = statistics.median(run(1) for _ in range(REPEATS))
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    training = max(whole - evaluation, 0.0) * plan.steps / steps
    epoch = (training + evaluation / work.eval_every) * work.chunks(layout)
    return Measurement(layout, epoch, compile_seconds, size)


def device_bytes(compiled: Any) -> int:
    """What a compiled program needs on each device, in bytes."""
    stats = compiled.memory_analysis()
    return int(
        stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        + stats.temp_size_in_bytes
        - stats.alias_size_in_bytes
    )


def out_of_memory(error: Exception) -> bool:
    """Whether the runtime says so."""
    return "RESOURCE_EXHAUSTED" in str(error) or "out of memory" in str(error).lower()
