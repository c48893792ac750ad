"""The layout of a run: pinned, remembered or measured, and within memory."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax

from jmer import trees
from jmer.data.machine import cores, memory
from jmer.errors import JmerError, UsageError
from jmer.experiment import EngineConfig
from jmer.files import VERSION, read_json, write_json
from jmer.files.lock import owned
from jmer.files.places import from_environment, user_cache
from jmer.train.folds import Program
from jmer.train.planner import Measurement, candidates, choose
from jmer.train.probe import Layout, Work, device_bytes

CALL_SECONDS = 0.5  # a call of the compiled program should take no less
KEY = "key"
"""In the file of a plan, its name: all that it is the fastest for."""
FEW_STEPS = 10_000  # trainings of fewer steps are over before measuring pays


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a run is laid out, and what is expected of it."""

    layout: Layout
    evaluations: int  # in one call of the compiled program
    source: Literal["pinned", "remembered", "measured", "first guess"]
    seconds: float | None = None  # predicted for an epoch of all tasks
    bytes: int | None = None  # on the fullest device, for one chunk
    tried: tuple[dict[str, Any], ...] = ()

    def program(self, work: Work) -> Program:
        return self.layout.program(work.trainer, self.evaluations)

    def halved(self) -> "Plan":
        """The same with half the tasks side by side."""
        chunk = math.ceil(self.layout.chunk / 2)
        return dataclasses.replace(
            self, layout=dataclasses.replace(self.layout, chunk=chunk)
        )

    def record(self) -> dict[str, Any]:
        """JSON values for `experiment.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Plan":
        """The plan that `record` was taken from."""
        tried = tuple(record["tried"])
        return cls(**{**record, "layout": Layout(**record["layout"]), "tried": tried})


def make_plan(
    engine: EngineConfig, work: Work, say: Callable[[str], Any] = lambda text: None
) -> Plan:
    """The layout that the engine's options ask for, measuring what they leave open.

    What was measured is remembered, for the same network, shapes, kind and number of
    devices, and versions.

    Raises: UsageError if the options contradict the machine.
    """
    found = jax.local_devices()
    if engine.devices is not None and engine.devices > len(found):
        raise UsageError(
            f"engine.devices={engine.devices}, but there are {len(found)} "
            f"({found[0].platform}): choose 1 to {len(found)}"
        )
    layouts = list(
        candidates(
            work.tasks,
            found[0].platform,
            together=work.trainer.plan.together,
            devices=[engine.devices] if engine.devices else _device_counts(len(found)),
            chunk=_chunk(engine),
            lowering=None if engine.lowering == "auto" else engine.lowering,
        )
    )
    if engine.strategy == "vmap" and engine.chunk is None:
        layouts = [max(layouts, key=lambda layout: (layout.devices, layout.chunk))]
    layouts = [as_asked(layout, engine) for layout in layouts]
    layouts[0].trainer(work.trainer)  # refuses what cannot be
    if len(layouts) == 1:
        return Plan(layouts[0], 1, "pinned")
    steps = len(work.tasks) * work.epochs * work.trainer.plan.steps
    if engine.plan_seconds == 0 or steps < FEW_STEPS:
        return Plan(layouts[0], 1, "first guess")
    cache = _cache_file(engine, work)
    if (known := _read(cache)) is not None:
        return known
    with in_cache(cache, "the measuring of layouts", say):
        # Another process may have measured in the meantime; two at once disturb one
        # another.
        return _read(cache) or _measured(engine, layouts, work, cache, say)


def as_asked(layout: Layout, engine: EngineConfig) -> Layout:
    """The layout with what saves memory, where that is asked for."""
    parts = engine.accumulate or 1
    return dataclasses.replace(layout, remat=engine.remat == "on", accumulate=parts)


def _measured(
    engine: EngineConfig,
    layouts: list[Layout],
    work: Work,
    cache: Path,
    say: Callable[[str], Any],
) -> Plan:
    say(f"measuring layouts, {engine.plan_seconds:g} s at most:")
    limit = memory_limit(engine)
    if limit is None and (most := memory()) is not None:
        # A CPU's devices share its memory, and a job that takes too much is killed.
        limit = most / max(layout.devices for layout in layouts)
    measured = choose(
        iter(layouts), work, seconds=engine.plan_seconds, limit=limit, say=say
    )
    if not measured:
        return Plan(layouts[-1], 1, "first guess")
    plan = _plan(measured, work)
    # The run can do without; the next one measures again.
    with contextlib.suppress(JmerError):
        write_json(cache, remembered(plan, cache))
    return plan


def fit(
    plan: Plan,
    work: Work,
    limit: float | None,
    say: Callable[[str], Any] = lambda text: None,
    engine: EngineConfig | None = None,
) -> tuple[Plan, int]:
    """The plan, and how many tasks of a device one program may hold within `limit`
    bytes, known before anything runs.

    Where one task is too much, its layers are made anew for the gradients, and then its
    batches go through in parts, unless `engine` says otherwise.

    Raises: JmerError if not even one task fits.
    """
    every = len(plan.program(work).rows(work.tasks)) // plan.layout.devices
    per_device = every
    while limit is not None:
        program = plan.program(work)
        rows = per_device * plan.layout.devices
        table = trees.shapes(work.table, rows)
        size = device_bytes(program.compiled(table, work.data))
        if size <= limit:
            return dataclasses.replace(plan, bytes=size), per_device
        state = jax.eval_shape(program.init, table.key)
        of_task = trees.size((state, table)) / rows
        fixed = size - of_task * per_device
        chunks = int((limit - fixed) / (of_task * plan.layout.chunk))
        chunks = min(chunks, per_device // plan.layout.chunk - 1)
        if chunks >= 1:
            per_device = chunks * plan.layout.chunk
            say(
                f"{size / 1e9:.3g} GB on a device is more than {limit / 1e9:.3g} GB: "
                f"{per_device} tasks of a device in one program"
            )
        elif plan.layout.chunk > 1:
            plan = plan.halved()
            per_device = plan.layout.chunk
            say(
                f"{size / 1e9:.3g} GB on a device is more than {limit / 1e9:.3g} GB: "
                f"{per_device} side by side"
            )
        elif (layout := _saving(plan.layout, work, engine)) is not None:
            plan = dataclasses.replace(plan, layout=layout)
            per_device = every
            say(
                f"{size / 1e9:.3g} GB on a device for one task is more than "
                f"{limit / 1e9:.3g} GB: {layout}"
            )
        else:
            raise JmerError(
                f"one task needs {size / 1e9:.3g} GB on a device, more than the limit "
                f"of {limit / 1e9:.3g} GB. Lower --batch-size, or raise "
                f"--engine.memory-limit if there is more."
            )
    return plan, per_device


def _saving(layout: Layout, work: Work, engine: EngineConfig | None) -> Layout | None:
    """The next layout that takes less memory and more time; None if there is none."""
    engine = engine or EngineConfig()
    if engine.remat == "auto" and not layout.remat:
        return dataclasses.replace(layout, remat=True)
    parts = 2 * layout.accumulate
    if engine.accumulate is not None or parts > work.trainer.plan.size:
        return None
    if not work.trainer.takes_parts:
        return None
    return dataclasses.replace(layout, accumulate=parts)


def _plan(measured: list[Measurement], work: Work) -> Plan:
    best = measured[0]
    between = best.seconds * work.eval_every
    return Plan(
        best.layout,
        max(1, min(50, math.ceil(CALL_SECONDS / between))),
        "measured",
        best.seconds,
        best.bytes,
        tuple(dataclasses.asdict(m) for m in measured),
    )


def _chunk(engine: EngineConfig) -> int | None:
    return 1 if engine.strategy in ("map", "loop") else engine.chunk


def _device_counts(available: int) -> list[int]:
    return sorted({available, max(1, available // 2), 1}, reverse=True)


def memory_limit(engine: EngineConfig) -> float | None:
    """Bytes that a program may need on a device; None where nobody knows."""
    if engine.memory_limit is not None:
        return engine.memory_limit * 1e9
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit")


def cache_folder() -> Path:
    """Where jmer remembers plans and compiled programs: `JMER_CACHE`, or `jmer` in the
    user's cache folder.
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


def keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles for a second or longer for the next process,
    unless `JAX_COMPILATION_CACHE_DIR` names another place.
    """
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        folder = cache_folder() / "programs"
        jax.config.update("jax_compilation_cache_dir", str(folder))


def _cache_file(engine: EngineConfig, work: Work) -> Path:
    """A name made of all that the fastest layout depends on."""
    trainer = work.trainer
    seeds = [task.seed for task in work.tasks]
    shapes = jax.tree.map(lambda x: [*x.shape, str(x.dtype)], work.data)
    facts = [
        type(trainer.network).__name__,
        dataclasses.asdict(trainer.network),
        dataclasses.asdict(trainer.plan),
        str(trainer.dtype),
        trainer.inner,
        work.eval_every,
        sorted(seeds.count(seed) for seed in set(seeds)),
        str(jax.tree.leaves(shapes)),
        [engine.strategy, engine.chunk, engine.devices, engine.lowering],
        [engine.remat, engine.accumulate],
        engine.memory_limit,
        [jax.devices()[0].device_kind, jax.local_device_count(), cores()],
        [VERSION, metadata.version("jax"), metadata.version("jaxlib")],
    ]
    name = hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:24]
    return cache_folder() / "plans" / f"{name}.json"


def remembered(plan: Plan, file: Path) -> dict[str, Any]:
    """What is kept of a plan: its record, and the name of what it was measured for."""
    return {**plan.record(), KEY: file.stem}


def _read(file: Path) -> Plan | None:
    """A remembered plan; None if there is none that can be read, or it is another's."""
    try:
        record = dict(read_json(file, required=True))
        if record.pop(KEY, None) != file.stem:
            return None
        plan = Plan.of(record)
    except (JmerError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dataclasses.replace(plan, source="remembered")
