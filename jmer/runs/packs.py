"""The packs of a run as they are saved: finished, or left to go on with."""

import dataclasses
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.runs.arrangement import holds, pack_folders
from jmer.runs.folder import RUN, require_idle, run_of
from jmer.train.checkpoint import Checkpoints, Flat
from jmer.train.pack import PackResult, result_of
from jmer.train.tasks import Task


@dataclasses.dataclass(frozen=True)
class SavedPack:
    """What the last checkpoint of a pack holds."""

    folder: Path
    tasks: tuple[Task, ...]
    result: PackResult | None
    """None while its training is unfinished."""
    notes: dict[str, Any]
    """What was saved beside the arrays, as JSON values."""


PACK = "pack"
"""A field of the notes: the folder of the pack, from that of the checkpoints."""


def place_of(folder: Path) -> str:
    """The name of a pack, as a layout has it."""
    counted = folder.name.startswith("pack-")
    return folder.name if counted else f"{folder.parent.name}/{folder.name}"


def read_packs(checkpoints: Path) -> list[SavedPack]:
    """Those of a run's checkpoints that have been saved at all, in order.

    Raises: JmerError if one cannot be read, is of another run, or if two hold the same
    task.
    """
    try:
        found = [read_pack(folder) for folder in pack_folders(checkpoints)]
    except JmerError:
        require_idle(checkpoints.parent)
        raise
    packs = [pack for pack in found if pack is not None]
    own = run_of(checkpoints.parent)
    homes: dict[Task, Path] = {}
    for pack in packs:
        theirs = pack.notes.get(RUN)
        if own is not None and theirs not in (None, own):
            raise JmerError(
                f"{pack.folder} is a checkpoint of another run: it was copied here. "
                f"Restore this run's own, or delete it to train its tasks again."
            )
        if (name := pack.notes.get(PACK)) not in (None, place_of(pack.folder)):
            raise JmerError(
                f"{pack.folder} was saved as {checkpoints / str(name)}, and renamed. "
                f"Give it its name back, or delete it to train its tasks again."
            )
        for task in pack.tasks:
            if (other := homes.setdefault(task, pack.folder)) != pack.folder:
                raise JmerError(
                    f"{other} and {pack.folder} both hold fold {task.fold}, seed "
                    f"{task.seed}: one of them was copied there. Delete that one, and "
                    f"start the same command again."
                )
    return packs


def read_pack(folder: Path) -> SavedPack | None:
    """None if nothing is saved of it.

    Raises: JmerError if it cannot be read, or holds other tasks than it is named for.
    """
    if not folder.is_dir():
        return None
    checkpoints = Checkpoints(folder, read_only=True)
    try:
        if checkpoints.epoch is None:
            return None
        step, arrays, meta = checkpoints.restore()
    finally:
        checkpoints.close()
    try:
        tasks = tuple(Task(**task) for task in meta["tasks"])
        done, seconds = bool(meta["finished"]), float(meta["seconds"])
        require_shapes(arrays, len(tasks))
        result = result_of(arrays, tasks, seconds) if done else None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise JmerError(
            f"checkpoint {folder / str(step)} is damaged ({reason}). Delete {folder} "
            f"to train its tasks again."
        ) from error
    if not holds(folder, tasks):
        raise JmerError(
            f"{folder} holds other tasks than it is named for: it was renamed or "
            f"damaged. Restore it, or delete it to train its tasks again."
        )
    return SavedPack(folder, tasks, result, meta)


def require_shapes(arrays: Flat, tasks: int) -> None:
    """Raises: ValueError if arrays of a checkpoint are not of so many tasks; KeyError
    if one is not there."""
    epochs = arrays["history.epoch"]
    for name, array in arrays.items():
        if name == "history.epoch":
            continue
        first = (len(epochs), tasks) if name.startswith("history.") else (tasks,)
        if array.shape[: len(first)] != first:
            raise ValueError(f"{name} has shape {array.shape}, for {tasks} tasks")
