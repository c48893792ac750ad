"""The packs of a run: what is saved of them, what was decided, and what is new."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax

from jmer.errors import JmerError
from jmer.runner.plan import Plan
from jmer.runs.arrangement import LaidOut, pack_name
from jmer.runs.packs import SavedPack, place_of, read_pack
from jmer.train.pack import PackResult
from jmer.train.tasks import Task


@dataclasses.dataclass(frozen=True)
class Pack:
    """Tasks that train together, where they are saved and how they are laid out."""

    number: int
    folder: Path
    tasks: list[Task]
    plan: Plan
    run: str | None = None
    """The run that they are of, by its name."""


@dataclasses.dataclass(frozen=True)
class Packs:
    """Those of a run: the results there are, and what is left to do."""

    finished: list[PackResult]
    todo: list[Pack]


def fits_here(pack: LaidOut) -> bool:
    """Whether this machine has the devices, and this version knows the plan."""
    try:
        return Plan.of(pack.plan).layout.devices <= jax.local_device_count()
    except (KeyError, TypeError):
        return False


def laid_out(
    saved: Sequence[SavedPack], before: Sequence[LaidOut], keep: set[str]
) -> list[LaidOut]:
    """The packs of which something is saved, with the plan that it was made by, and of
    those from `before` the ones to keep."""
    packs = [pack for pack in before if pack.name in keep]
    for pack in saved:
        packs.append(
            LaidOut(place_of(pack.folder), pack.tasks, pack.notes.get("plan", {}))
        )
    return sorted(packs, key=lambda pack: pack.number)


def new_packs(
    packs: Sequence[LaidOut], tasks: list[Task], plan: Plan, size: int
) -> list[LaidOut]:
    """Packs of `size` for `tasks` that are in none of `packs`; of tasks of one seed if
    they are fed, since the order of what comes is the seed's."""
    first = 1 + max((pack.number for pack in packs), default=-1)
    groups = [tasks]
    if plan.block is not None:
        seeds = sorted({task.seed for task in tasks})
        groups = [[task for task in tasks if task.seed == seed] for seed in seeds]
    parts = [
        group[start : start + size]
        for group in groups
        for start in range(0, len(group), size)
    ]
    return [
        LaidOut(pack_name(first + i, part), tuple(part), plan.record())
        for i, part in enumerate(parts)
    ]


def finished(folder: Path) -> PackResult:
    """The result that another process left there.

    Raises: JmerError if it has not finished it.
    """
    saved = read_pack(folder)
    if saved is None or saved.result is None:
        raise JmerError(
            f"the process that trained {folder} has not finished it. Start the same "
            f"command again: it goes on from the last checkpoint."
        )
    return saved.result
