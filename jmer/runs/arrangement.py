"""Which tasks train together: decided at the first start, for all of them.

To the bit, a task's numbers depend on which tasks share its program, and on how that is
laid out. A run that goes on finds here what it would have done without interruption.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files import read_json, write_text
from jmer.files.seal import MARK, SEAL, sealed
from jmer.runs.folder import ARRANGEMENT, RUN, run_of
from jmer.train.tasks import Task

TASKS = "-tasks-"


@dataclasses.dataclass(frozen=True)
class LaidOut:
    """A pack that was decided on, whether or not anything is saved of it."""

    name: str
    """Its folder, from that of the checkpoints."""
    tasks: tuple[Task, ...]
    plan: dict[str, Any]
    """The record of its plan."""

    @property
    def number(self) -> int:
        """For people, and for the lines of the log."""
        return int(self.name.partition("/")[0].removeprefix("pack-"))


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """The packs of a run, and the options and device that they were laid out for."""

    chosen_for: dict[str, Any] = dataclasses.field(default_factory=dict)
    packs: tuple[LaidOut, ...] = ()

    def write(self, checkpoints: Path) -> None:
        """One line for each pack, sealed and with the name of the run."""
        packs = [
            {
                "name": pack.name,
                "tasks": [dataclasses.astuple(task) for task in pack.tasks],
                "plan": pack.plan,
            }
            for pack in self.packs
        ]
        own = run_of(checkpoints.parent)
        content = sealed({RUN: own, "chosen_for": self.chosen_for, "packs": packs})
        head = json.dumps({n: content[n] for n in (RUN, "chosen_for")})[1:-1]
        tail = json.dumps({n: content[n] for n in (MARK, SEAL)})[1:-1]
        lines = ",\n".join(map(json.dumps, packs))
        write_text(
            checkpoints / ARRANGEMENT,
            f'{{{head}, "packs": [\n{lines}\n], {tail}}}\n',
        )


def read_arrangement(checkpoints: Path) -> Arrangement:
    """The layout that was decided on; without any pack if there is none yet.

    Raises: JmerError if it was edited or damaged.
    """
    file = checkpoints / ARRANGEMENT
    if not file.exists():
        return Arrangement()
    try:
        content = read_json(file)
        packs = tuple(
            LaidOut(
                str(pack["name"]),
                tuple(Task(*task) for task in pack["tasks"]),
                dict(pack["plan"]),
            )
            for pack in content["packs"]
        )
        layout = Arrangement(dict(content["chosen_for"]), packs)
        tasks = [task for pack in packs for task in pack.tasks]
        fits = len(set(tasks)) == len(tasks) and all(
            pack.name in (f"pack-{pack.number:04d}", pack_name(pack.number, pack.tasks))
            for pack in packs
        )
        own, theirs = run_of(checkpoints.parent), content.get(RUN)
        fits = fits and (own is None or theirs is None or own == theirs)
    except (KeyError, TypeError, ValueError, AttributeError, JmerError):
        fits = False
    if not fits:
        raise JmerError(
            f"{file} was edited or damaged. Restore it, or remove it: what is saved of "
            f"the run is kept, and what is left is laid out anew."
        )
    return layout


def pack_name(number: int, tasks: Sequence[Task]) -> str:
    """The folder of a pack among the checkpoints of its run: its number is for people;
    below, it is named by its tasks, so that no two packs write one folder."""
    return f"pack-{number:04d}/{_named(tasks)}"


def holds(folder: Path, tasks: Sequence[Task]) -> bool:
    """Whether a pack may be one of these tasks, as far as its name tells: earlier
    versions only counted."""
    return _number(folder) is not None or folder.name == _named(tasks)


def pack_folders(checkpoints: Path) -> list[Path]:
    """Those of all packs, in order."""
    counted = [
        folder for folder in checkpoints.glob("pack-*") if _number(folder) is not None
    ]
    folders = []
    for folder in sorted(counted, key=lambda folder: (_number(folder), folder.name)):
        folders += sorted(folder.glob(f"*{TASKS}*")) or [folder]
    return folders


def _named(tasks: Sequence[Task]) -> str:
    facts = json.dumps([dataclasses.astuple(task) for task in sorted(tasks)])
    return f"{len(tasks)}{TASKS}{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def _number(folder: Path) -> int | None:
    kind, _, number = folder.name.partition("-")
    return int(number) if kind == "pack" and number.isdecimal() else None
