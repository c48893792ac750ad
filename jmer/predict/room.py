"""The folder that an answer is written to: nothing of anybody else is lost in it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jmer.errors import JmerError, UsageError
from jmer.files import read_json
from jmer.files.lock import owned

NAME = "predict"
RECORD = f"{NAME}.json"
LOCK = f".{NAME}.lock"
WRITTEN = (RECORD, f"{NAME}.html", f"{NAME}.md", "found.csv", "curve.csv", "figures")


@contextlib.contextmanager
def held(out: Path, source: Path, *, overwrite: bool = False) -> Iterator[None]:
    """Keeps other processes out of `out` while it is filled.

    Raises: InUse if one has it; UsageError as `require_room`.
    """
    advice = "Wait for it to end, or choose another folder with --out."
    left = (out / LOCK).exists()
    with owned(out / LOCK, str(out), advice=advice):
        # What an answer that was killed has left behind is nobody's.
        killed = left and not (out / RECORD).exists()
        _require(out, source, overwrite or killed)
        yield


def require_room(out: Path, source: Path, *, overwrite: bool = False) -> None:
    """Raises: JmerError if `out` is a file; UsageError if it has what is neither an
    earlier answer about the same source nor beside what is written."""
    if out.exists() and not out.is_dir():
        raise JmerError(f"{out} is a file: choose another folder with --out.")
    # If somebody has it, or had, that is told when it is to be filled.
    _require(out, source, overwrite or (out / LOCK).exists())


def _require(out: Path, source: Path, overwrite: bool) -> None:
    there = [name for name in WRITTEN if (out / name).exists()]
    if overwrite or not there:
        return
    about = _source_of(out)
    if about is None:
        raise UsageError(
            f"out={out}: {there[0]} is there already, which is of no finished answer: "
            f"choose another folder with --out, or add --overwrite to replace it"
        )
    if about.absolute() != source.absolute():
        raise UsageError(
            f"out={out}: the answer about {about} is there already, and stays: choose "
            f"another folder with --out, or add --overwrite to replace it"
        )


def _source_of(out: Path) -> Path | None:
    """What the answer in a folder is about; None if there is none."""
    try:
        found = read_json(out / RECORD, changed=True)
        return Path(found["source"])
    except (JmerError, KeyError, TypeError):
        return None
