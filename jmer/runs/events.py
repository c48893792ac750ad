"""What a run writes on its way, to be read while it goes on."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files import Changed, writing
from jmer.runs.arrangement import read_arrangement
from jmer.runs.curves import CURVES
from jmer.runs.folder import CHECKPOINTS, DESCRIPTION, PROGRESS, RUN, run_of
from jmer.runs.intact import require_whole
from jmer.runs.lines import line_of, read_lines
from jmer.train import hosts
from jmer.train.pack import PackResult
from jmer.train.tasks import Task


class EventLog:
    """`progress.jsonl`, a JSON object a line; TensorBoard too where it is installed.

    Each line has the name of its run, so that no curves are those of two.

    Raises: JmerError if it cannot be written, or a line of it was changed or is of
    another run.
    """

    def __init__(self, folder: Path):
        self._tasks: set[str] | None = None
        self._run = {RUN: own} if (own := run_of(folder)) else {}
        process = hosts.index()
        # One writer a file: appending together is not safe on network file systems.
        suffix = f"-{process}" if process else ""
        self._path = (path := folder / PROGRESS).with_stem(path.stem + suffix)
        with writing(self._path):
            self._mend()
            # Unbuffered, so that a full disk shows where it is met, not at the end.
            self._file = self._path.open("ab", buffering=0)
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            self._board = None
        else:
            self._board = SummaryWriter(str(folder / f"tensorboard{suffix}"))

    def _mend(self) -> None:
        """Drops a last line that a killed process left unfinished."""
        if self._path.exists():
            require_whole(self._path)
            _require_own(self._path)
            content = self._path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                self._path.write_bytes(whole)

    def write(self, **event: Any) -> None:
        with writing(self._path):
            self._file.write(line_of({**event, **self._run}))
        if self._board and event["event"] == "evaluation":
            for name in CURVES:
                if event[name] is not None:
                    tag = f"pack{event['pack']}/{name}"
                    self._board.add_scalar(tag, event[name], event["epoch"])

    def write_tasks(self, result: PackResult) -> None:
        """That the tasks of a pack are finished, unless it says so already: a process
        may be killed before it does.
        """
        if self._tasks is None:
            self._tasks = {
                _named(event)
                for event in read_lines(self._path)
                if event.get("event") == "task"
            }
        for i, task in enumerate(result.tasks):
            facts = dataclasses.asdict(task)
            if (known := _named(facts)) in self._tasks:
                continue
            self._tasks.add(known)
            self.write(
                event="task",
                **facts,
                selected_epoch=int(result.selected[i]),
                diverged=not bool(result.alive[-1, i]),
                time=time.time(),
            )

    def close(self) -> None:
        self._file.close()
        if self._board:
            self._board.close()


def _require_own(log: Path) -> None:
    """Raises: Changed if an event is of another run than the folder's."""
    own, tasks = run_of(log.parent), _tasks_of(log.parent)
    for number, event in enumerate(read_lines(log), start=1):
        # Earlier versions did not say of which run a line is; its task tells.
        foreign = own is not None and event.get(RUN) not in (None, own)
        if event.get("event") == "task" and tasks:
            foreign = foreign or _named(event) not in tasks
        if foreign:
            raise Changed(
                f"{log}: event {number} is of another run than {DESCRIPTION} beside "
                f"it. Put back the log of this run, or remove this one: reports then "
                f"show no curves of what was trained before, and all else stays."
            )


def _tasks_of(folder: Path) -> set[str]:
    """All that a run trains, as far as that is decided."""
    try:
        packs = read_arrangement(folder / CHECKPOINTS).packs
    except JmerError:
        return set()  # who lays out the packs complains of it
    return {_named(dataclasses.asdict(task)) for pack in packs for task in pack.tasks}


def _named(event: Mapping[str, Any]) -> str:
    """What tells the tasks of a log apart."""
    return str([event.get(field.name) for field in dataclasses.fields(Task)])
