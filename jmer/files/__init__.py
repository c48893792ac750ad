"""Writing files so that a reader sees the old content, the new, or an error."""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from jmer.errors import JmerError
from jmer.files.ending import undoing
from jmer.files.inside import MOST_JSON, read_regular
from jmer.files.remains import aside
from jmer.files.seal import SEAL, State, sealed, state, unsealed
from jmer.files.shape import parse_json

VERSION = "0.1.0"
"""Of jmer, which what it writes is stamped with."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an `OSError` met while writing `path` into one clear error.

    Raises: JmerError naming the path, the system's reason and the remedy.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise JmerError(
            f"cannot write {path}: {reason}. Make room there or choose another "
            f"place, then run the same command again; what was complete before "
            f"is kept."
        ) from error


def make_folder(path: Path) -> Path:
    """Creates `path` and its parents.

    Raises: JmerError if the place cannot be written.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def require_writable(path: Path) -> None:
    """For what is written at the end of long work.

    Raises: JmerError if nothing can be written at `path`.
    """
    make_folder(path.parent)
    with writing(path):
        handle, part = aside(path)
        os.close(handle)
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when all is in it, and never a part of it.

    Raises: JmerError if the disk is full or cannot be written.
    """
    with _written(path) as (file, part):
        yield file
        _complete(file)
        part.replace(path)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A file beside `path` to be written and moved there; it is gone after an error."""
    make_folder(path.parent)
    with writing(path):
        handle, part = aside(path)
        remove = functools.partial(part.unlink, missing_ok=True)
        try:
            with undoing(remove), os.fdopen(handle, "wb") as file:
                yield file, part
        except BaseException:
            remove()
            raise


def _complete(file: BinaryIO) -> None:
    """Until all that was written is on the disk, and may be read."""
    file.flush()
    # A temporary file is private to its owner; results are as open as the umask.
    umask = os.umask(0)
    os.umask(umask)
    os.fchmod(file.fileno(), 0o666 & ~umask)
    os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `path` through a temporary neighbour and a rename.

    Raises: JmerError if the disk is full or cannot be written.
    """
    with replacing(path) as file:
        file.write(content)


def write_group(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Files by name that belong together, the last one being what readers look for:
    it is away while the others are moved in, so that no two of different groups are
    ever read as one.

    Raises: JmerError if the disk is full or cannot be written; all is as before if that
    is known before the first file moves.
    """
    last = folder / [*contents][-1]
    with contextlib.ExitStack() as stack:
        parts = {}
        for name, content in contents.items():
            file, parts[name] = stack.enter_context(_written(folder / name))
            file.write(content)
            _complete(file)
        with writing(last):
            last.unlink(missing_ok=True)
            for name, part in parts.items():
                part.replace(folder / name)


def write_text(path: Path, content: str) -> None:
    """`write_bytes`, of UTF-8 text."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """`write_bytes`, of indented JSON; keys keep their order. An object is sealed."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """What `write_json` writes."""
    if isinstance(content, Mapping):
        content = sealed(content)
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def content_hash(path: Path) -> str:
    """16 hexadecimal digits that stand for the content of a file.

    Raises: JmerError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise JmerError(f"cannot read {path}: {error.strerror}.") from error


class Changed(JmerError):
    """A file is not what jmer wrote there."""


class Unreadable(Changed):
    """There is nothing left in it to be read, for a `reason`."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_json(
    path: Path, *, changed: bool = False, required: bool = False, remedy: str = ""
) -> Any:
    """The content of a JSON file, without its seal.

    With `changed`, also of one that was changed since jmer wrote it; with `required`,
    not of one without a seal, as older versions wrote it.

    Raises: JmerError if it is missing or not JSON; Changed, with `remedy`, if its seal
    is broken.
    """
    remedy = remedy or "restore it, or write it again."
    content, found = read_sealed(path, remedy=remedy)
    if not changed and (found == "broken" or (required and found == "none")):
        raise Changed(
            f"{path} is not what jmer wrote there: its {SEAL} does not fit its "
            f"content. It was edited or damaged, and edits are not taken: {remedy}"
        )
    return content


def read_sealed(path: Path, *, remedy: str = "") -> tuple[Any, State]:
    """The content of a JSON file without its seal, and whether that fits it.

    Raises: JmerError if it is missing or not JSON, or has more than 64 MiB.
    """
    try:
        content = parse_json(read_regular(path, MOST_JSON))
        found = state(content)
    except OSError as error:
        raise JmerError(f"cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        remedy = remedy or "restore it, or write it again."
        raise Unreadable(
            f"{path} is not valid JSON ({error}). It was edited or damaged: {remedy}",
            str(error),
        ) from error
    return unsealed(content) if isinstance(content, dict) else content, found
