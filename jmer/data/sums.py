"""Checksums of a prepared set, so that what is loaded is what was prepared."""

import json
from collections.abc import Collection
from pathlib import Path

from jmer.errors import JmerError
from jmer.files import read_json, write_json
from jmer.files.digest import written_file

SUMS = "sums.json"
METADATA = "metadata.json"
CHECKSUMS = "checksums"
"""A field of the metadata of sets that have them."""
PARTS = 3
"""Of the folder of a set, that name it: data set, recipe and version."""


def write_sums(folder: Path) -> None:
    """Writes the checksums of all files of a set, which is whole with them.

    Raises: JmerError if they cannot be written.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    found = {path.name: written_file(path) for path in files if path.name != SUMS}
    write_json(folder / SUMS, {"set": _name(folder), "files": found})


def has_sums(folder: Path) -> bool:
    """Whether the checksums of a set are there."""
    return (folder / SUMS).is_file()


def needs_sums(folder: Path) -> bool:
    """Whether a set says of itself that it has checksums, as older ones do not."""
    try:
        return CHECKSUMS in json.loads((folder / METADATA).read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def require_unchanged(folder: Path, only: Collection[str] = ()) -> None:
    """Compares a set, or `only` some of its files, with its checksums; one of a version
    without them passes.

    Raises: ValueError if a file differs or cannot be read, or they are of another set.
    """
    if not has_sums(folder):
        return
    try:
        sums = read_json(folder / SUMS, required=True)
        found = {
            n: written_file(folder / n) for n in sums["files"] if n in only or not only
        }
    except JmerError as error:
        raise ValueError(str(error)) from error
    if sums["set"] != _name(folder):
        raise ValueError(f"it was prepared as {sums['set']}, and was copied or renamed")
    for name, now in found.items():
        if now != sums["files"][name]:
            raise ValueError(f"{name} is not as it was prepared")


def _name(folder: Path) -> str:
    return "/".join(folder.absolute().parts[-PARTS:])
