"""The folder of a run: who it belongs to, and what is in it."""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jmer.errors import JmerError
from jmer.files import VERSION, make_folder, read_json, write_json, writing

DESCRIPTION = "experiment.json"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"


def open_run(folder: Path, description: Mapping[str, Any], *, overwrite: bool) -> None:
    """Makes `folder` the run of `description`, or finds it to be that already.

    `description["identity"]` decides: a folder of another experiment is refused, and
    so is one with files that are no run's. With `overwrite` a run is replaced.

    Raises: JmerError naming the first field that differs.
    """
    existing = folder / DESCRIPTION
    if folder.exists() and not folder.is_dir():
        raise JmerError(
            f"run directory {folder} is a file: choose another with --run-dir."
        )
    found = read_json(existing) if existing.exists() else None
    is_run = isinstance(found, dict) and isinstance(found.get("identity"), dict)
    if folder.exists() and any(folder.iterdir()) and not is_run:
        raise JmerError(
            f"{folder} has files but no {DESCRIPTION} of jmer: it is no run. Choose an "
            f"empty or new folder with --run-dir."
        )
    if found is not None and not overwrite:
        difference = first_difference(found["identity"], description["identity"])
        if difference:
            raise JmerError(
                f"{folder} is the run of another experiment: {difference}. Choose "
                f"another --run-dir, or replace the run with --overwrite."
            )
        # What this process did not decide stays: when it began, and its layout.
        description = {**found, **description, "created": found.get("created")}
    elif found is not None:
        with writing(folder):
            shutil.rmtree(folder)
    make_folder(folder)
    write_json(existing, dict(description))


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


def environment() -> dict[str, Any]:
    """Versions, device and source revision of this process."""
    devices = jax.devices()
    names = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "versions": {
            "jmer": VERSION,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in names},
        },
        "device": {
            "kind": devices[0].device_kind,
            "count": len(devices),
            "platform": devices[0].platform,
            "host_cores": os.cpu_count(),
        },
        "revision": _revision(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _revision() -> str | None:
    """The commit that jmer is run from, `-dirty` if files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


class EventLog:
    """`progress.jsonl`, a JSON object a line; TensorBoard too where it is installed."""

    def __init__(self, folder: Path):
        process = jax.process_index()
        # One writer a file: appending together is not safe on network file systems.
        suffix = f"-{process}" if process else ""
        self._path = folder / f"progress{suffix}.jsonl"
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
            content = self._path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                self._path.write_bytes(whole)

    def write(self, **event: Any) -> None:
        with writing(self._path):
            self._file.write(json.dumps(event).encode() + b"\n")
        if self._board and event["event"] == "evaluation":
            for name in ("loss", "test_acc", "inner_uf1"):
                if event[name] is not None:
                    tag = f"pack{event['pack']}/{name}"
                    self._board.add_scalar(tag, event[name], event["epoch"])

    def close(self) -> None:
        self._file.close()
        if self._board:
            self._board.close()


def command_line() -> str:
    """How this process was started, for the report."""
    return shlex.join(["jmer", *sys.argv[1:]])
