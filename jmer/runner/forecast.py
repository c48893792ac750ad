"""What a long run is going to take, in a line that is said before anything waits."""

import dataclasses
import math
import time
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmer import trees
from jmer.experiment import EngineConfig
from jmer.runner.plan import Plan, known_plan
from jmer.text import duration
from jmer.train.feed import set_bytes
from jmer.train.first_guesses import Kind, kind_of, tasks_to_fill
from jmer.train.probe import Work

LONG = 120.0
"""Seconds: of a run that cannot take longer, nothing is said."""
BACKWARD = 3
"""Multiplications of a training step, for each of its loss."""
SHARES: Mapping[Kind, tuple[float, float]] = {
    "narrow": (0.02, 0.4),
    "wide": (0.04, 0.4),
    "products": (0.1, 0.6),
}
"""Between which parts of what a device multiplies at best networks have been seen to
multiply, by what they are made of (`experiments/benchmarks`, with some room)."""
FEW = 500
"""Steps of all tasks together: those of fewer are soon seen to go on."""
STEP = (2e-4, 1e-2)
"""Seconds that a step takes at least, whatever is in it, at best and at worst; one of
all tasks that are side by side."""
MEASURED = (0.8, 1.5)
"""Of what was measured, such as a machine has it that does something else as well."""
COMPILED = (2.0, 180.0)
"""Seconds that compiling takes where nobody has measured it."""
SIDES: Mapping[str, int] = {"cpu": 512}
SIDE = 4096
"""Of the matrices whose product tells how fast a device is, by platform: smaller ones
would tell how long an accelerator takes to begin."""


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What training is going to take: the ends of ranges."""

    seconds: tuple[float, float]
    """Of the training, without compiling."""
    compiling: tuple[float, float]
    bytes: float
    """On a device, at least: the set, and the weights of the tasks with what the
    optimiser keeps; or all that is needed, where it was `measured`."""
    measured: bool
    """Whether this very training was measured before."""

    @property
    def long(self) -> bool:
        return self.seconds[1] + self.compiling[0] > LONG

    def __str__(self) -> str:
        low, high = (a + b for a, b in zip(self.seconds, self.compiling, strict=True))
        least, most = self.compiling
        compiling = "about " + duration(most) if least == most else _range(least, most)
        how = "as measured before" if self.measured else "an estimate, not measured"
        memory = f"{self.bytes / 1e9:.2g} GB" if self.bytes >= 1e8 else _megabytes(self)
        return (
            f"before it begins: {'' if self.measured else 'at least '}{memory} of "
            f"memory on a device, compiling {compiling} unless it is kept from before, "
            f"the whole {_range(low, high)} ({how})"
        )


def _megabytes(one: Forecast) -> str:
    return f"{max(1, round(one.bytes / 1e6))} MB"


def _range(low: float, high: float) -> str:
    return f"{duration(low)} to {duration(high)}"


def forecast(engine: EngineConfig, work: Work, tasks: int) -> Forecast | None:
    """Of `tasks` like those of the work; None of a training that is certainly short.

    What a layout was measured to take is believed; else the multiplications of a
    batch, as they are traced, are held against a product of matrices here and now.
    Nothing of it reaches the training.
    """
    steps = tasks * work.epochs * work.trainer.plan.steps
    devices = engine.devices or jax.local_device_count()
    if (plan := known_plan(engine, work)) is not None and plan.seconds is not None:
        return of_plan(plan, work.epochs * tasks / len(work.tasks), devices)
    if steps < FEW:
        return None
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), work.data)
    kind, many = kind_of(work.trainer, shapes)
    size = bytes_of(work, tasks, devices)
    side = side_by_side(engine, kind, many, tasks, devices)
    return of_work(kind, many, steps, rate(), size, devices, side)


def side_by_side(
    engine: EngineConfig, kind: Kind, many: float, tasks: int, devices: int
) -> int:
    """Tasks of a device that take their steps together, with so `many` multiplications
    each. Of a CPU one: its cores are busy with it."""
    if engine.chunk is not None:
        chunk = engine.chunk
    elif engine.strategy == "vmap":
        chunk = tasks
    elif engine.strategy != "auto" or jax.default_backend() == "cpu":
        chunk = 1
    else:
        chunk = tasks_to_fill(jax.default_backend(), kind, many)
    return min(chunk, math.ceil(tasks / devices))


def of_plan(plan: Plan, epochs: float, devices: int) -> Forecast:
    """Of a layout that was measured, for so many epochs of all tasks."""
    assert plan.seconds is not None
    whole = plan.seconds * epochs
    chosen = dataclasses.asdict(plan.layout)
    seen = [one["compile_seconds"] for one in plan.tried if one["layout"] == chosen]
    compiling = (seen[0], seen[0]) if seen else COMPILED
    low, high = MEASURED
    return Forecast((low * whole, high * whole), compiling, plan.bytes or 0, True)


def of_work(
    kind: Kind,
    many: float,
    steps: int,
    per_second: float,
    size: float,
    devices: int,
    side: int = 1,
) -> Forecast:
    """Of `steps` of all tasks together with so `many` multiplications forward each, on
    `devices` that share `per_second` at best, `side` tasks side by side on each."""
    low, high = SHARES[kind]
    best, worst = (BACKWARD * many * steps / (per_second * x) for x in (high, low))
    first, last = (each * steps / devices / side for each in STEP)
    return Forecast((max(best, first), worst + last), COMPILED, size, False)


def rate() -> float:
    """Multiplications a second of the machine as busy as it is now, in large products
    of float32: some tens of milliseconds."""
    platform = jax.default_backend()
    side = SIDES.get(platform, SIDE)
    one = jnp.ones((side, side), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    product(one).block_until_ready()
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        product(one).block_until_ready()
        best = min(best, time.perf_counter() - start)
    devices = jax.local_device_count() if platform != "cpu" else 1
    return side**3 / best * devices


def bytes_of(work: Work, tasks: int, devices: int) -> float:
    """The set on a device, and the share of the tasks' states that lies there."""
    state = jax.eval_shape(work.trainer.init, jax.random.key(0))
    return set_bytes(work.data) + trees.size(state) * math.ceil(tasks / devices)
