"""The layout of a run: pinned, remembered or measured, and within memory."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import jax

from jmer import trees
from jmer.data.machine import cores, memory
from jmer.errors import JmerError, UsageError
from jmer.experiment import EngineConfig
from jmer.files import VERSION, read_json, write_json
from jmer.files.cache import cache_folder, in_cache
from jmer.files.lock import tell
from jmer.nn.lowering.choice import default
from jmer.text import counted
from jmer.train.first_guesses import first_guess
from jmer.train.folds import Program
from jmer.train.planner import Measurement, candidates, choose
from jmer.train.probe import Layout, Work, bytes_needed
from jmer.train.ranking import choose_ranked, compiled
from jmer.train.streamed import Streamed

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
    block: int | None = None  # steps that are fed at once; None with the set there

    def program(self, work: Work) -> Program:
        if self.block is not None:
            return Streamed.of(self.layout, work, self.block)
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
            guess=first_guess(work.trainer, work.data, found[0].platform),
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


def fit_plan() -> Plan:
    """How fits of baselines are laid out: one after another, on the host."""
    lowering = default(jax.local_devices()[0].platform)
    return Plan(Layout(devices=1, chunk=1, lowering=lowering), 1, "pinned")


def known_plan(engine: EngineConfig, work: Work) -> Plan | None:
    """The layout of some work that was measured before; None if none was."""
    return _read(_cache_file(engine, work))


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
    seconds = engine.plan_seconds
    if jax.local_devices()[0].platform == "cpu":
        measured = choose(iter(layouts), work, seconds=seconds, limit=limit, say=say)
    else:
        one = functools.partial(compiled, work=work, limit=limit)
        epochs = work.epochs
        measured = choose_ranked(
            iter(layouts), one, seconds=seconds, epochs=epochs, say=say
        )
    if not measured:  # none fits: what needs least is made to, or said not to
        return Plan(min(layouts, key=lambda each: each.chunk), 1, "first guess")
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
        size = bytes_needed(program, table, work.data)
        if size is not None and size <= limit:
            return dataclasses.replace(plan, bytes=size), per_device
        state = jax.eval_shape(program.init, table.key)
        of_task = trees.size((state, table)) / rows
        lighter = smaller(plan.layout, per_device, size, of_task, limit)
        room = f"{limit / 1e9:.3g} GB"
        if plan.block not in (None, 1) and (not lighter or lighter[0] != plan.layout):
            plan = dataclasses.replace(plan, block=math.ceil(plan.block / 2))
            continue
        if lighter is None and (saving := _saving(plan.layout, work, engine)):
            lighter = saving, every
        if lighter is None:
            needs = "more" if size is None else f"{size / 1e9:.3g} GB, more"
            raise JmerError(
                f"one task needs {needs} than the limit of {room} on a device. Lower "
                f"--batch-size, or raise --engine.memory-limit if there is more."
            )
        layout, per_device = lighter
        what = f"{counted(per_device, 'task')} of a device in one program"
        if layout.chunk < plan.layout.chunk:
            what = f"{counted(per_device, 'task')} side by side"
        elif layout != plan.layout:
            what = str(layout)
        needs = "All need" if size is None else f"{size / 1e9:.3g} GB on a device is"
        say(f"{needs} more than {room}: {what}")
        plan = dataclasses.replace(plan, layout=layout)
    return plan, per_device


def smaller(
    layout: Layout, per_device: int, size: int | None, of_task: float, limit: float
) -> tuple[Layout, int] | None:
    """A layout, and how many tasks of a device, that may fit where `per_device` tasks
    need `size` bytes (None: nobody knows how many) of `limit`, `of_task` of them for
    each that waits. None where nothing is left to take away.
    """
    chunks = per_device // layout.chunk
    if size is None:
        fewer = chunks // 2
    else:
        fixed = size - of_task * per_device
        fewer = min(int((limit - fixed) / (of_task * layout.chunk)), chunks - 1)
    if fewer >= 1:
        return layout, fewer * layout.chunk
    if layout.chunk == 1:
        return None
    half = math.ceil(layout.chunk / 2)
    return dataclasses.replace(layout, chunk=half), half


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


def keep_compiled_programs(say: Callable[[str], Any] = tell) -> None:
    """Lets JAX keep what it compiles for a second or longer for the next process,
    unless `JAX_COMPILATION_CACHE_DIR` names another place. Where nothing can be
    written, `say` is told, and all is compiled again each time.
    """
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    folder = cache_folder() / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        say(
            f"{folder} cannot be written ({error.strerror}): compiled programs are not "
            f"kept. JMER_CACHE names another folder."
        )
        return
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
