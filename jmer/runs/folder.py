"""The folder of a run: what is in it, and whose it is."""

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from jmer.errors import JmerError
from jmer.files import Changed, read_json, write_json
from jmer.files.lock import holder, owned, tell
from jmer.files.remains import is_part
from jmer.files.seal import digest

DESCRIPTION = "experiment.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
PROGRESS = "progress.jsonl"
CHECKPOINTS = "checkpoints"
ARRANGEMENT = "packs.json"
"""Beside the packs of a run."""
LOCK = ".lock"
"""Held by the process that writes the run."""
REPORT = "report"
"""`report.md` and `report.html`."""
FIGURES = "figures"
SCORES_CSV, SCORES_TEX = "scores.csv", "scores.tex"
COMPARISON_CSV, COMPARISON_TEX = "comparison.csv", "comparison.tex"
META_CSV = "meta.csv"
SPOTTING, SPOTTED = "spotting", "spotting.json"
"""What `jmer spot` leaves: a folder, and in it what was found."""
EXPLAIN, EXPLAINED = "explain", "explain.json"
"""What `jmer explain` leaves: a folder with a folder a clip, and what each shows."""
GRID = "+grid"
"""Beside those, all clips in one figure; no folder of a clip is called so."""
AUDIT = "audit"
"""`audit.md` and `audit.json`."""
SWEEP = "sweep.json"
"""Of the folder of a sweep, whose cells are runs in folders of their own."""

RUN = "run"
"""A field of what belongs to a run: `run_name`, from its first start on."""
CHECKSUMS = "checksums"
"""A field of the description: `all` in a run that had them from the start."""
SUMS = "sums"
"""A field of the metrics: the files beside them, as they were then."""

NEEDED = {
    METRICS: (
        *("protocol", "selection", "batches", "subject_independent", "oracle"),
        *("diverged", "wall_seconds", "throughput", "n_samples", "n_folds"),
        *("n_subjects", "seeds", "classes", "per_seed", "std", "ci95", "confusion"),
        *("per_dataset", "per_class", "per_subject"),
    ),
    DESCRIPTION: (
        *("name", "command", "experiment", "versions", "device", "revision"),
        *("data", "created"),
    ),
}
"""The fields of each file without which there is no report of a run."""


@contextlib.contextmanager
def owning(
    folder: Path,
    *,
    wait: bool = False,
    say: Callable[[str], Any] = tell,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Keeps other processes out of a run directory while the block runs.

    With `wait`, until it is free `say` is told who has it.

    Raises: JmerError if `folder` is in use (InUse), or holds what is no run's or
    sweep's; KeyboardInterrupt once `stopping` says so while it waits.
    """
    require_folder(folder)
    told = (DESCRIPTION, SWEEP, METRICS, f"{CHECKPOINTS}/{ARRANGEMENT}")
    if contents(folder) and not any((folder / n).is_file() for n in told):
        refuse_foreign(folder)
    with owned(
        folder / LOCK,
        f"run directory {folder}",
        wait=wait,
        say=say,
        stopping=stopping,
        advice="Wait for it to end (--wait does), stop it, or choose another "
        "--run-dir.",
    ):
        yield


def require_idle(folder: Path) -> None:
    """Raises: JmerError if another process is at work on the run in `folder`: what is
    missing there, or cannot be read, is on its way."""
    if owner := holder(folder / LOCK):
        raise JmerError(
            f"{folder} is in use by {owner}, which has not finished it. Wait for it to "
            f"end, then type the same command again."
        )


def require_folder(folder: Path) -> None:
    """Raises: JmerError if there is a file where a run directory is to be."""
    if folder.exists() and not folder.is_dir():
        raise JmerError(
            f"run directory {folder} is a file: choose another with --run-dir."
        )


def contents(folder: Path) -> list[Path]:
    """What lies in a folder, apart from its lock and what a killed process had begun to
    write there; nothing if there is no folder."""
    if not folder.exists():
        return []
    return [p for p in folder.iterdir() if p.name != LOCK and not is_part(p)]


def is_untrained(folder: Path) -> bool:
    """Whether a run directory holds no more than a run has that ended before it trained
    anything, such as one that its data refused: nothing is lost with it."""
    names = {path.name for path in contents(folder)}
    if not names <= {DESCRIPTION, PROGRESS}:
        return False
    return DESCRIPTION not in names or not is_changed(folder / DESCRIPTION)


def refuse_foreign(folder: Path) -> NoReturn:
    """Raises: JmerError, for it holds something else than a run."""
    raise JmerError(
        f"{folder} has files but no {DESCRIPTION} of jmer: it is no run. Choose an "
        f"empty or new folder with --run-dir."
    )


def marks(identity: Mapping[str, Any]) -> dict[str, str]:
    """What the description of a new run says for its files to be known by."""
    return {RUN: run_name(identity), CHECKSUMS: "all"}


def run_name(identity: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for all runs of an experiment."""
    return digest(identity)[:16]


def run_of(folder: Path) -> str | None:
    """Which experiment the run in a folder is of; None of a run that does not say."""
    file = folder / DESCRIPTION
    found = read_json(file, changed=True) if file.exists() else None
    return found.get(RUN) if isinstance(found, dict) else None


def is_changed(file: Path) -> bool:
    """Whether a JSON file is not what jmer wrote there."""
    try:
        read_json(file)
    except Changed:
        return True
    return False


def note(folder: Path, name: str, value: Any) -> None:
    """Adds a field to the description of the run in `folder`."""
    file = folder / DESCRIPTION
    write_json(file, {**read_json(file), name: value})


def first_difference(old: Any, new: Any, where: str = "") -> str | None:
    """The first field in which two nested values differ, in words; None if equal."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(k for k in old if k not in new)]:
            place = f"{where}.{key}" if where else key
            found = first_difference(old.get(key), new.get(key), place)
            if found:
                return found
        return None
    return None if old == new else f"{where} is {old} there and {new} here"


SMALL = "small"
"""In a description, what a small size changed of the experiment, in words."""


def command_line() -> str:
    """How this process was started, for the report."""
    return shlex.join(["jmer", *sys.argv[1:]])
