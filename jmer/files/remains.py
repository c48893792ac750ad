"""The files of which only a part may be there: their names, and what dead processes
left of them.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

# `.NAME.MACHINE-PROCESS.RANDOM.part`
PART = re.compile(r"\..*\.([0-9a-f]{8})-([0-9]+)\.[^.]*\.part", re.DOTALL)
LONGEST = 100  # characters of a name: a file system has room for 255 bytes of it all


def aside(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open for writing, and its place. What processes of this
    machine that were killed left of the same file is removed.

    Raises: OSError if it cannot be written.
    """
    _remove_remains(path)
    prefix = f".{path.name[:LONGEST]}.{_machine()}-{os.getpid()}."
    handle, name = tempfile.mkstemp(suffix=".part", prefix=prefix, dir=path.parent)
    return handle, Path(name)


def folder_aside(path: Path) -> Path:
    """A new folder beside `path`, to be filled and moved there. What processes of this
    machine that were killed left of the same folder is removed.

    Raises: OSError if it cannot be written.
    """
    _remove_remains(path)
    prefix = f".{path.name[:LONGEST]}.{_machine()}-{os.getpid()}."
    return Path(tempfile.mkdtemp(suffix=".part", prefix=prefix, dir=path.parent))


def is_part(path: Path) -> bool:
    """Whether it is on its way to become another file, or was when a process died."""
    return PART.fullmatch(path.name) is not None


def _remove_remains(path: Path) -> None:
    start = f".{path.name[:LONGEST]}."
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(start)]
    for name in names:
        found = PART.fullmatch(name)
        if found and found[1] == _machine() and not _alive(int(found[2])):
            left = path.parent / name
            with contextlib.suppress(OSError):
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left)
                else:
                    left.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return True


@functools.cache
def _machine() -> str:
    """Nobody can tell from here whether a process of another one lives."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
