"""Another process that has a lock, for the tests of who may write what."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys
from pathlib import Path
from jmer.files.lock import InUse, owned

try:
    with owned(Path(sys.argv[1]), "the place", wait="wait" in sys.argv):
        print("has it", flush=True)
        sys.stdin.readline()
except InUse as error:
    print(error, flush=True)
"""


def holder_of(lock: Path, *words: str) -> subprocess.Popen:
    """A process that takes `lock` and keeps it until it is written a line."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def release(process: subprocess.Popen) -> str:
    """What it wrote on the error stream until it ended."""
    _, error = process.communicate("\n", timeout=900)
    assert process.returncode == 0
    return error


@contextlib.contextmanager
def held(lock: Path) -> Iterator[subprocess.Popen]:
    """While the block runs, another process has `lock`."""
    process = holder_of(lock)
    try:
        assert said(process) == "has it"
        yield process
    finally:
        if process.poll() is None:
            release(process)
