"""Places that a command is given with --out: what it did not write there stays."""

from collections.abc import Iterable
from pathlib import Path

from jmer.errors import UsageError, quoted

MARK = '<meta name="generator" content="{}">'
BEGINNING = 4096
"""Bytes of a page in which the mark is."""


def mark(by: str) -> str:
    """The line of a page that says which command wrote it, for itself to know."""
    return MARK.format(f"jmer {by}".strip())


def wrote(page: Path, by: str) -> bool:
    """Whether `page` is one that this command wrote, to a place that it was given."""
    try:
        with page.open("rb") as file:
            return mark(by).encode() in file.read(BEGINNING)
    except OSError:
        return False


def require_room(files: Iterable[Path], by: str, *, known: bool) -> None:
    """To be called before any of these is written by `jmer BY`; `known` is whether it
    wrote what is there before.

    Raises: UsageError if one is there that it did not write.
    """
    there = [file for file in files if file.exists() or file.is_symlink()]
    if there and not known:
        raise UsageError(
            f"{quoted(str(there[0]))} is there already, and not from `jmer {by}`: it "
            f"stays. Choose another place with --out"
        )
