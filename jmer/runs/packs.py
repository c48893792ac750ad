"""The packs of a run as they are saved: finished, or left to go on with."""

import dataclasses
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.runs.arrangement import holds, pack_folders
from jmer.runs.folder import require_idle
from jmer.train.checkpoint import Checkpoints
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


def read_packs(checkpoints: Path) -> list[SavedPack]:
    """Those of a run's checkpoints that have been saved at all, in order.

    Raises: JmerError if one cannot be read.
    """
    try:
        found = [read_pack(folder) for folder in pack_folders(checkpoints)]
    except JmerError:
        require_idle(checkpoints.parent)
        raise
    return [pack for pack in found if pack is not None]


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
        _, arrays, meta = checkpoints.restore()
    finally:
        checkpoints.close()
    tasks = tuple(Task(**task) for task in meta["tasks"])
    if not holds(folder, tasks):
        raise JmerError(
            f"{folder} holds other tasks than it is named for: it was renamed or "
            f"damaged. Restore it, or delete it to train its tasks again."
        )
    done = meta["finished"]
    result = result_of(arrays, tasks, meta["seconds"]) if done else None
    return SavedPack(folder, tasks, result, meta)
