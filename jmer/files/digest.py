"""Checksums of arrays and of whole files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np

from jmer.errors import JmerError


class Written(TypedDict):
    """A file as it was when it was finished."""

    bytes: int
    sha256: str


def digest_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of names, types, shapes and values, in the order of names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        # Types that NumPy does not know, such as bfloat16, lose their names in a file.
        total.update(f"{name} {array.dtype.kind}{array.dtype.itemsize}".encode())
        total.update(f" {array.shape}\n".encode())
        values = np.ascontiguousarray(array).reshape(-1)
        total.update(values.view(np.uint8).data if values.size else b"")
    return total.hexdigest()


def written(content: bytes) -> Written:
    """What `differs` compares a file with later."""
    return Written(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def written_file(path: Path) -> Written:
    """The same of a file, which may be larger than memory.

    Raises: JmerError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise JmerError(f"cannot read {path}: {error.strerror}.") from error
    return Written(bytes=size, sha256=digest)


def recorded(value: object) -> Written | None:
    """What a JSON file says of another; None of one that says nothing, as those of
    earlier versions do not, or nothing that can be."""
    match value:
        case {"bytes": int(size), "sha256": str(digest)}:
            return Written(bytes=size, sha256=digest)
    return None


def differs(content: bytes, then: Written, *, more: bool = False) -> str | None:
    """In what a file is not as it was written, in words; None if it is. With `more`,
    what was appended since does not count."""
    if len(content) < then["bytes"] or (len(content) > then["bytes"] and not more):
        return f"it has {len(content)} bytes, and had {then['bytes']}"
    if hashlib.sha256(content[: then["bytes"]]).hexdigest() != then["sha256"]:
        return "its checksum is another"
    return None
