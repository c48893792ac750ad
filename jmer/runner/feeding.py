"""Whether the set lies on the devices whole, or comes to them in blocks."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jmer import trees
from jmer.data.machine import memory
from jmer.data.rows import RowFile
from jmer.errors import JmerError
from jmer.experiment import EngineConfig
from jmer.nn.lowering.choice import default
from jmer.runner.plan import Plan, make_plan
from jmer.train import hosts
from jmer.train.batches import BatchPlan
from jmer.train.feed import HELD, clip_bytes, require_grain, set_bytes, step_room
from jmer.train.probe import Layout, Work
from jmer.train.streamed import Streamed

BLOCK_BYTES = 64e6  # of a block, where a step has no more
SHARE = 8  # a block takes no more than this part of the memory, unless a step does
SMALL = 4  # a set below this part of the memory is not asked about


def first_plan(
    engine: EngineConfig,
    work: Work,
    limit: float | None,
    say: Callable[[str], Any] = lambda text: None,
    *,
    begun: bool = False,
) -> tuple[Work, Plan]:
    """The layout of some work, before it is made to fit, and what of the work one
    program may hold: all of it, or where the set is streamed, the tasks of a seed.
    `begun` says that something of the run is trained already.

    Raises: JmerError if the set does not fit and cannot be streamed.
    """
    platform = jax.local_devices()[0].platform
    own = hosts.all_or_none(lambda: streams(engine, work, limit, platform, begun))
    if not any(hosts.gather_json(own)):  # a machine that cannot hold it tells all
        return work, make_plan(engine, whole(work), say)
    work = of_one_seed(work)
    return work, streamed_plan(engine, work, limit, say)


def streams(
    engine: EngineConfig,
    work: Work,
    limit: float | None,
    platform: str,
    begun: bool = False,
) -> bool:
    """Whether the set of some work is streamed: pinned, or since it does not fit the
    memory of a device, of `limit` bytes, together with the work of one task. With
    `begun` other batches would replace what is trained.

    Raises: JmerError if it does not fit and cannot be streamed, or Grain is missing.
    """
    plan = work.trainer.plan
    if engine.data == "resident":
        return False
    if engine.data == "streamed" or on_disk(work):
        needed = math.inf
    else:
        needed = _needed(engine, work, limit, platform)
        if limit is None or not needed - set_bytes(work.data) <= limit < needed:
            return False
    if not plan.together:
        words = ["--batches", "shared"]
        words += ["--sampling", "shuffled"] if plan.balanced else []
        words += ["--overwrite"] if begun else []
        most = "memory" if limit is None else f"{limit / 1e9:.3g} GB"
        raise JmerError(
            f"the set of {set_bytes(work.data) / 1e9:.3g} GB does not fit {most} with "
            f"the work of one task, and each fold has batches of its own, which need "
            f"all of it there. Run with {' '.join(words)}, which is fed in blocks"
            f"{', and begins anew' if begun else ''}; or with --engine.data resident, "
            f"if there is more memory than that."
        )
    require_grain()
    return True


def whole(work: Work) -> Work:
    """The work with all of its set in memory."""
    if not on_disk(work):
        return work
    rows = {name: np.asarray(array) for name, array in work.data.rows.items()}
    return dataclasses.replace(work, data=dataclasses.replace(work.data, rows=rows))


def room_for(engine: EngineConfig) -> float | None:
    """Bytes of the host's memory that a set may take; None for as many as it has."""
    if engine.data == "resident":
        return None
    if engine.data == "streamed":
        return 0
    most = memory()
    return None if most is None else most / 2


def on_disk(work: Work) -> bool:
    """Whether the set was too large for the host's memory already."""
    return any(isinstance(rows, RowFile) for rows in work.data.rows.values())


def _needed(
    engine: EngineConfig, work: Work, limit: float | None, platform: str
) -> float:
    """Bytes of the set and one task's work on a device; 0 where the set is small."""
    if limit is None or set_bytes(work.data) < limit / SMALL:
        return 0.0
    lowering = default(platform) if engine.lowering == "auto" else engine.lowering
    program = Layout(1, 1, lowering).program(work.trainer)
    return program.bytes(trees.shapes(work.table, 1), work.data)


def streamed_plan(
    engine: EngineConfig,
    work: Work,
    limit: float | None,
    say: Callable[[str], Any] = lambda text: None,
) -> Plan:
    """The layout of streamed tasks of one seed, chosen as `make_plan` does on a set
    of the size of a block.
    """
    steps = block_steps(work.trainer.plan, clip_bytes(work.data), limit)
    room = step_room(work.trainer.plan, steps)
    plan = make_plan(engine, _with_block(work, room), say)
    return dataclasses.replace(plan, evaluations=1, block=steps)


def of_one_seed(work: Work) -> Work:
    """The tasks of the seed that has most: only those can be in one program."""
    seeds = [task.seed for task in work.tasks]
    most = Counter(seeds).most_common(1)[0][0]
    chosen = [i for i, seed in enumerate(seeds) if seed == most]
    return dataclasses.replace(
        work,
        tasks=tuple(work.tasks[i] for i in chosen),
        table=trees.take(work.table, np.array(chosen)),
    )


def block_steps(plan: BatchPlan, clip: int, limit: float | None) -> int:
    """Steps in a block, as many in each of an epoch as may be, of clips of so many
    bytes."""
    most = BLOCK_BYTES if limit is None else min(BLOCK_BYTES, limit / SHARE)
    size = max(1, min(plan.steps, int(most // (clip * plan.size))))
    return math.ceil(plan.steps / math.ceil(plan.steps / size))


def _with_block(work: Work, room: int) -> Work:
    """The work on a set of so many clips, each standing for several."""
    clips = np.arange(len(work.data.label), dtype=np.int32) % room
    rows = {name: array[np.arange(room)] for name, array in work.data.rows.items()}
    return dataclasses.replace(
        work, data=dataclasses.replace(work.data, rows=rows, place=clips)
    )


def told(plan: Plan, work: Work) -> str:
    """What a run says of how its set comes to the devices."""
    program = plan.program(work)
    assert isinstance(program, Streamed)
    each = clip_bytes(work.data)
    steps, tested = (room * each / 1e6 for room in program.room)
    held = HELD * max(steps, tested * program.mesh.size)
    return (
        f"the set of {set_bytes(work.data) / 1e6:.3g} MB is streamed: blocks of "
        f"{plan.block} step{'s' * (plan.block != 1)} ({steps:.3g} MB, "
        f"{tested:.3g} MB for an evaluation), at most {held:.3g} MB of them in the "
        f"host's memory"
    )
