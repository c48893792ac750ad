"""The program of an experiment, compiled for a machine that is not here."""

import dataclasses
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jmer import trees
from jmer.bench.timing import Grid, bench_clips
from jmer.data.clips import ClipSet
from jmer.data.splits import make_folds
from jmer.errors import JmerError
from jmer.experiment import Experiment
from jmer.models.base import Inputs, NetworkConfig
from jmer.runner.plan import as_asked
from jmer.runner.session import Session
from jmer.targets import cost, machines
from jmer.targets.program_text import parse
from jmer.train.folds import Program
from jmer.train.mesh import compute_dtype, make_mesh
from jmer.train.planner import candidates, out_of_memory
from jmer.train.probe import Layout, Work, device_bytes, step_flops

DEAREST = 8  # operations that are named


class TooLarge(JmerError):
    """A program needs more memory than a device of its machine has."""


@dataclasses.dataclass(frozen=True)
class Aim:
    """One program for one machine."""

    machine: machines.Target
    experiment: Experiment
    work: Work
    layout: Layout

    @property
    def program(self) -> Program:
        mesh = make_mesh(self.layout.devices, machines.devices(self.machine))
        trainer = self.layout.trainer(self.work.trainer)
        return Program(
            trainer,
            mesh,
            self.layout.chunk,
            options=machines.compiler_options(self.machine),
        )

    def __str__(self) -> str:
        return (
            f"{self.machine.name}: {len(self.work.tasks)} tasks, "
            f"{self.experiment.batches}, {np.dtype(self.work.trainer.dtype).name}, "
            f"{self.layout}"
        )


def aims(experiment: Experiment, grid: Grid, machine: machines.Target) -> Iterator[Aim]:
    """Every combination of the grid; what it leaves open is as `jmer run` would have
    it on that machine."""
    clips = bench_clips(experiment).empty()
    folds = make_folds(experiment.protocol, clips)
    for batches, dtype in itertools.product(
        grid.batches or (experiment.batches,), grid.dtypes or (experiment.dtype,)
    ):
        variant = dataclasses.replace(experiment, batches=batches, dtype=dtype)
        session = Session(variant, clips, folds, _seen(experiment.model, clips))
        platform = machine.chip.platform
        trainer = dataclasses.replace(
            session.trainer, dtype=compute_dtype(dtype, platform)
        )
        whole = session.work(session.tasks)
        whole = dataclasses.replace(whole, trainer=trainer)
        for pack in grid.packs or (len(whole.tasks),):
            work = whole.first(min(pack, len(whole.tasks)))
            for layout in _layouts(work, variant, grid, machine):
                yield Aim(machine, variant, work, layout)


def _layouts(
    work: Work, experiment: Experiment, grid: Grid, machine: machines.Target
) -> Iterator[Layout]:
    given = experiment.engine
    seen = set()
    for devices, chunk, lowering in itertools.product(
        grid.devices or (given.devices or machine.devices,),
        grid.chunks or (given.chunk,),
        grid.lowerings or (None if given.lowering == "auto" else given.lowering,),
    ):
        devices = min(devices, machine.devices, len(work.tasks))
        layout = next(
            candidates(
                work.tasks,
                machine.chip.platform,
                together=work.trainer.plan.together,
                devices=[devices],
                chunk=chunk and min(chunk, -(-len(work.tasks) // devices)),
                lowering=lowering,
            )
        )
        layout = as_asked(layout, given)
        if layout not in seen:
            seen.add(layout)
            yield layout


def _seen(network: NetworkConfig, clips: ClipSet) -> Inputs:
    """The shapes of what tasks see of the clips, as arrays that take no memory."""
    inputs = {name: clips.inputs[name] for name in network.inputs}
    if not network.has_prefix:
        return inputs
    made = jax.eval_shape(network.prefix, inputs)
    return {
        name: np.broadcast_to(np.zeros((), array.dtype), array.shape)
        for name, array in made.items()
    }


def compiled_for(aim: Aim, say: Callable[[str], Any]) -> dict[str, Any]:
    """What the compiler says of a program: a record of JSON values.

    Raises: TooLarge if the program does not fit the machine, with what would.
    """
    program, work, machine = aim.program, aim.work, aim.machine
    rows = len(program.rows(work.tasks))
    table = trees.shapes(work.table, rows)
    say(f"compiling {aim}")
    start = time.monotonic()
    try:
        compiled = program.compiled(table, work.data)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        raise TooLarge(_too_large(aim, _needed(str(error)))) from error
    seconds = time.monotonic() - start
    size = device_bytes(compiled)
    if size > machine.chip.memory:
        raise TooLarge(_too_large(aim, size))
    text = parse(compiled.as_text())
    found = cost.costs(text, work.eval_every)
    return {
        "target": machine.name,
        "network": aim.experiment.model.name,
        "batches": aim.experiment.batches,
        "batch_size": aim.experiment.batch_size,
        "dtype": np.dtype(work.trainer.dtype).name,
        "lowering": aim.layout.lowering,
        "chunk": aim.layout.chunk,
        "remat": aim.layout.remat,
        "accumulate": aim.layout.accumulate,
        "devices": aim.layout.devices,
        "tasks": len(work.tasks),
        "bytes_per_device": size,
        "temporary_bytes": int(compiled.memory_analysis().temp_size_in_bytes),
        "memory_per_device": machine.chip.memory,
        "tasks_that_fit": _fitting(aim, size),
        "collectives": cost.collectives(text),
        "compile_seconds": round(seconds, 1),
        **_costs(aim, found, rows),
    }


def _costs(aim: Aim, found: cost.Costs, rows: int) -> dict[str, Any]:
    work, chip = aim.work, aim.machine.chip
    plan, chunk = work.trainer.plan, aim.layout.chunk
    per_device = rows // aim.layout.devices
    chunks = per_device // chunk
    steps = chunks * work.eval_every * plan.steps
    calls = math.ceil(work.epochs / work.eval_every)
    estimates: dict[str, Any] = dict.fromkeys(
        (
            *("estimated_cycles_step", "estimated_cycles_evaluation"),
            *("estimated_cycles_fold_epoch", "estimated_seconds_run"),
            "estimated_share_of_peak",
        )
    )
    if found.cycles:
        step = found.step.cycles / steps
        flops = step_flops(work.trainer, work.data) * chunk
        estimates = {
            "estimated_cycles_step": round(step),
            "estimated_cycles_evaluation": round(found.evaluation.cycles / chunks),
            "estimated_cycles_fold_epoch": round(
                found.cycles / (per_device * work.eval_every)
            ),
            "estimated_seconds_run": found.cycles * calls / chip.clock,
            "estimated_share_of_peak": flops / (step * chip.flops_a_cycle),
        }
    dearest = found.step.cycles_of if found.cycles else found.step.bytes_of
    return {
        "kernels": round(found.step.kernels / steps),
        "bytes_moved_step": round(found.step.bytes / steps),
        "bytes_moved_call": round(found.once.bytes),
        **estimates,
        "dearest": [
            {
                "operation": name,
                "cycles" if found.cycles else "bytes": round(amount / steps),
            }
            for name, amount in dearest.most_common(DEAREST)
        ],
        "loops_of_unknown_length": list(found.unknown),
    }


def _state_bytes(aim: Aim) -> float:
    """Of one task, with its row of the table."""
    state = jax.eval_shape(aim.work.trainer.init, jax.random.key(0))
    return trees.size(state) + trees.size(aim.work.table) / len(aim.work.tasks)


def _fitting(aim: Aim, size: int) -> int:
    """How many tasks a program of this layout can hold on all its devices: beside what
    a chunk works with, each has its state."""
    held = -(-len(aim.work.tasks) // aim.layout.devices)
    room = (aim.machine.chip.memory - size) / _state_bytes(aim)
    chunks = max(1, int((held + room) // aim.layout.chunk))
    return chunks * aim.layout.chunk * aim.layout.devices


def _needed(message: str) -> int | None:
    """Bytes that a compiler says it would have needed."""
    found = re.search(r"[Uu]sed ([\d.]+)([KMG]) of", message)
    if found is None:
        return None
    return int(float(found[1]) * 2 ** {"K": 10, "M": 20, "G": 30}[found[2]])


def _too_large(aim: Aim, size: int | None) -> str:
    memory = aim.machine.chip.memory
    needs = (
        f"needs more than the {memory / 1e9:.4g} GB of a device"
        if size is None
        else f"needs {size / 1e9:.4g} GB of a device's {memory / 1e9:.4g} GB, "
        f"{(size - memory) / 1e9:.3g} GB too many"
    )
    return f"{aim} does not fit: it {needs}. {_what_would(aim, size)}"


def _what_would(aim: Aim, size: int | None) -> str:
    """A pack that has a chance, said as an option."""
    chunk, tasks, devices = aim.layout.chunk, len(aim.work.tasks), aim.layout.devices
    over = (size - aim.machine.chip.memory) if size else 0
    held = -(-tasks // devices)
    fewer = held - math.ceil(over / _state_bytes(aim)) if over else held // 2
    if fewer >= max(chunk, 1):
        return f"--packs {fewer // chunk * chunk * devices} would."
    if chunk > 1:
        return f"Try --chunks {math.ceil(chunk / 2)}."
    return "Try another machine, or a smaller --batch-size."
