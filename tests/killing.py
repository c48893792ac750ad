"""Commands that are killed and typed again, and what must be the same in the end."""

import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jmer.files.lock import holder

ROOT = Path(__file__).resolve().parent.parent
SERVER = Path(__file__).with_name("fork_server.py")
FLAGS = (
    "--xla_force_host_platform_device_count=1 --xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)
REPORTING = (
    *("jmer.commands.report", "jmer.report.sweep", "jmer.papers"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
)
"""The modules of `jmer report`."""
EVERYTHING = (
    *(f"jmer.commands.{name}" for name in ("run", "evaluate", "weights", "data")),
    *("jmer.commands.options", "jmer.sweep.run", "jmer.runner.evaluate"),
    *("jmer.runner.run", "jmer.runner.progress", "jmer.data.builder"),
    *("jmer.runs.importers", "data_builders.casme2.casme2_dataset_builder"),
    *REPORTING,
)
NUMBERS = itertools.count()
"""Of the files in which programs say something."""
KILLED = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGXFSZ, 130}
# What is of another process at every start, and the checksums of that.
TIMES = {"created", "wall_seconds", "throughput", "seconds", "time"}
TIMES |= {"revision", "run", "seal", "sums", "notes", "crc"}
WHEN = {"_CHECKPOINT_METADATA", "commit_success.txt"}


class Kill(NamedTuple):
    """When a command is ended, and how."""

    operation: int | None = None
    """Just before its n-th operation on a file."""
    size: int | None = None
    """In the midst of the write that makes a file longer than that, in bytes."""
    seconds: float | None = None
    """So long after its start."""
    name: str | None = None
    """Before the first operation on a file whose path has this in it; of several
    processes, the first one that comes to it."""
    signal: int = signal.SIGKILL


class Done(NamedTuple):
    """A command that has ended."""

    code: int
    output: str
    seconds: float
    cpu: float

    @property
    def killed(self) -> bool:
        return self.code in KILLED


class Server:
    """Starts commands within milliseconds: `fork_server.py`."""

    def __init__(self, folder: Path, modules: Iterable[str] = EVERYTHING):
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "output"
        self.tell = folder / "operations"
        self.token = folder / "token"
        self.cpu = 0.0
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": FLAGS,
            "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        environment.pop("JMER_TYPECHECK", None)
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), *modules],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, words: list[str], kill: Kill | None = None) -> Done:
        """`jmer words` in a folder, to its end or until it is killed."""
        return self.together(folder, [words], [kill])[0]

    def together(
        self,
        folder: Path,
        commands: Sequence[list[str]],
        kills: Sequence[Kill | None] = (),
    ) -> list[Done]:
        """Several commands at once, of which some may be killed."""
        self.token.touch()
        kills = kills or [None] * len(commands)
        requests = [
            {
                "folder": str(folder),
                "words": words,
                "output": f"{self.output}{i}",
                "token": str(self.token),
                "tell": str(self.tell) if kill is None else None,
                **(kill or Kill())._asdict(),
            }
            for i, (words, kill) in enumerate(zip(commands, kills, strict=True))
        ]
        found = self.ask(requests)
        self.cpu += sum(one["cpu"] for one in found)
        outputs = [
            Path(r["output"]).read_text(encoding="utf-8", errors="replace")
            for r in requests
        ]
        return [Done(output=o, **f) for o, f in zip(outputs, found, strict=True)]

    def start(
        self, folder: Path, words: Sequence[str], environment: Mapping[str, str]
    ) -> "Program":
        """`python -m jmer words` in a folder, which goes on beside the test."""
        return Program(self, folder, words, environment)

    def ask(self, what: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def operations(self) -> list[str]:
        """What the last command that was not killed did to files."""
        return json.loads(self.tell.read_text())

    def close(self) -> None:
        assert self.process.stdin
        with self.process:  # which closes both ends
            self.process.stdin.close()


class Program:
    """What a server has started: of `subprocess.Popen`, all that tests ask for."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        words: Sequence[str],
        environment: Mapping[str, str],
    ):
        self._ask = server.ask
        self._said = [Path(f"{server.output}{next(NUMBERS)}") for _ in range(2)]
        output, error = map(str, self._said)
        self.returncode: int | None = None
        self.pid: int = self._ask(
            {
                "folder": str(folder),
                "words": list(words),
                "environment": dict(environment),
                "output": output,
                "error": error,
            }
        )

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._ask(self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:  # else the number may be another one's by now
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it said, and its errors, once it has ended."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} has not ended")
            time.sleep(0.02)
        output, error = (path.read_text(encoding="utf-8") for path in self._said)
        return output, error


def left_behind(folder: Path) -> list[str]:
    """What no finished command leaves: unfinished files and folders, and locks that
    somebody has. Of a dead process a lock may stay where nobody wanted it since."""
    odd = re.compile(r"\.|incomplete|.*tmp")
    paths = [path for path in folder.rglob("*") if odd.match(path.name)]
    return [str(p) for p in paths if not _is_lock(p) or holder(p)]


def kept(folder: Path) -> dict[str, Any]:
    """All that lies below a folder by its name: what must be the same to the bit of
    two runs, and None for what tells when it was made."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and not _is_lock(p))
    return {str(p.relative_to(folder)): _kept(p) for p in files}


def _is_lock(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".lock")


def _kept(file: Path) -> Any:
    if file.suffix in (".html", ".md") or file.name in WHEN:
        return None
    if file.name == "progress.jsonl":
        return _curves(file)
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return {name: _digest(arrays[name].tobytes()) for name in arrays.files}
    if file.suffix == ".json" or file.name == "metadata":
        return _timeless(json.loads(file.read_text(encoding="utf-8")))
    return _digest(file.read_bytes())


def _curves(file: Path) -> dict[str, Any]:
    """The last word on each epoch and task: what was not saved is done again."""
    events = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return {
        str([e[n] for n in ("event", "pack", "epoch", "seed", "fold") if n in e]): e
        for e in map(_timeless, events)
    }


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in TIMES}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def copied(source: Path, folder: Path) -> Path:
    """A folder of its own, as it was at the beginning."""
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(source, folder))
