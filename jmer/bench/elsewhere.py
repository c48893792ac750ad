"""The program of an experiment, compiled for a machine that is not here."""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jmer import trees
from jmer.bench.aims import Aim
from jmer.bench.kept import SCHEMA, Kept
from jmer.errors import JmerError
from jmer.runner.stages import stage
from jmer.targets import cost, machines
from jmer.targets.program_text import parse
from jmer.train.estimates import of_costs
from jmer.train.folds import device_bytes
from jmer.train.probe import bytes_refused, out_of_memory, step_flops

DEAREST = 8  # operations that are named


class TooLarge(JmerError):
    """A program needs more memory than a device of its machine has; `size` bytes, if
    its compiler says how many."""

    def __init__(self, aim: Aim, size: int | None):
        super().__init__(_too_large(aim, size))
        self.size = size


def compiled_for(
    aim: Aim, name: str, kept: Kept, say: Callable[[str], Any]
) -> dict[str, Any]:
    """What the compiler says of a program of the experiment `name`: a record of JSON
    values, that goes to those that are `kept`. What is there is not compiled again. Of
    a pack that nobody asked for, and that does not fit, the largest that does, as
    `jmer run` would make it.

    Raises: TooLarge if the program does not fit the machine, with what would.
    """
    while True:
        try:
            return _record(aim, name, kept, say)
        except TooLarge as error:
            lighter = None if aim.pinned else aim.smaller(error.size)
            if lighter is None:
                raise
            say(f"  {error}")
            aim = lighter


def _record(
    aim: Aim, name: str, kept: Kept, say: Callable[[str], Any]
) -> dict[str, Any]:
    program, work, machine = aim.program, aim.work, aim.machine
    rows = len(program.rows(work.tasks))
    lowered = program.lowered(trees.shapes(work.table, rows), work.data)
    versions = machines.compiler_versions(machine)
    options = program.compiler_options
    fingerprint = _fingerprint(lowered, machine, options, versions)
    about = {"experiment": name, "program": fingerprint, "target": machine.name}
    if (refused := kept.refusal(about)) is not None:
        raise TooLarge(aim, refused["bytes_per_device"])
    if (known := kept.record(about)) is not None:
        say(f"known: {aim}")
        return known
    say(f"compiling {aim}")
    start = time.monotonic()
    size: int | None
    try:
        with stage("compiling", hasty=True):
            compiled: Any = lowered.compile(options)
        size = device_bytes(compiled)
    except jax.errors.JaxRuntimeError as error:
        if not out_of_memory(error):
            raise
        size = bytes_refused(error)
    if size is None or size > machine.chip.memory:
        kept.refuse({**about, "bytes_per_device": size, "layout": str(aim)})
        raise TooLarge(aim, size)
    seconds = time.monotonic() - start
    text = parse(compiled.as_text())
    found = cost.costs(text, work.eval_every)
    record = {
        **about,
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
        "epochs": work.epochs,
        "steps_epoch": work.trainer.plan.steps,
        "bytes_per_device": size,
        "temporary_bytes": int(compiled.memory_analysis().temp_size_in_bytes),
        "state_bytes_task": round(aim.state_bytes),
        "memory_per_device": machine.chip.memory,
        "tasks_that_fit": _fitting(aim, size),
        "collectives": cost.collectives(text),
        "compile_seconds": round(seconds, 1),
        **_costs(aim, found, rows),
        "compilers": versions,
    }
    return kept.add(record)


def _fingerprint(
    lowered: jax.stages.Lowered,
    machine: machines.Target,
    options: Mapping[str, Any],
    versions: Mapping[str, str],
) -> str:
    """A name for all that a record depends on: the traced program, who compiles it for
    what, and how its text is read."""
    told, made_by = sorted(options.items()), sorted(versions.items())
    facts = (lowered.as_text(), machine.name, told, made_by, SCHEMA)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


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
    flops = step_flops(work.trainer, work.data) * chunk
    if found.cycles:
        step = found.step.cycles / steps
        estimates = {
            "estimated_cycles_step": round(step),
            "estimated_cycles_evaluation": round(found.evaluation.cycles / chunks),
            "estimated_cycles_fold_epoch": round(
                found.cycles / (per_device * work.eval_every)
            ),
            "estimated_seconds_run": found.cycles * calls / chip.clock,
            "estimated_share_of_peak": flops / (step * chip.flops_a_cycle),
        }
    # A call has so many epochs, and one evaluation.
    rank = of_costs(found)
    dearest = found.step.cycles_of if found.cycles else found.step.bytes_of
    return {
        "flops_step": flops,
        "kernels": round(found.step.kernels / steps),
        "bytes_moved_step": round(found.step.bytes / steps),
        "bytes_moved_fold_epoch": round(found.bytes / (per_device * work.eval_every)),
        "bytes_moved_call": round(found.once.bytes),
        **estimates,
        "dearest": [
            {
                "operation": name,
                "cycles" if found.cycles else "bytes": round(amount / steps),
            }
            for name, amount in dearest.most_common(DEAREST)
        ],
        "rank": rank.amount / (per_device * work.eval_every),
        "rank_unit": rank.unit,
        "loops_of_unknown_length": list(found.unknown),
    }


def _fitting(aim: Aim, size: int) -> int:
    """How many tasks a program of this layout can hold on all its devices: beside what
    a chunk works with, each has its state."""
    room = (aim.machine.chip.memory - size) / aim.state_bytes
    chunks = max(1, int((aim.per_device + room) // aim.layout.chunk))
    return chunks * aim.layout.chunk * aim.layout.devices


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
    """A pack that fits, or where the compiler did not say by how much this one does
    not, one that may; said as an option."""
    lighter = aim.smaller(size)
    if lighter is None:
        return "Try another machine, or a smaller --batch-size."
    if lighter.layout.chunk < aim.layout.chunk:
        return f"Try --chunks {lighter.layout.chunk}."
    if size is None:
        return f"Try --packs {len(lighter.work.tasks)}."
    return f"--packs {len(lighter.work.tasks)} would."
