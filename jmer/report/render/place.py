"""Places that a command is given with --out: what it did not write there stays."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jmer.errors import UsageError, quoted

MARK = '<meta name="generator" content="{}">'
BEGINNING = 4096
"""Bytes of a file in which the mark is."""


def software(by: str) -> str:
    """What a picture says of who wrote it, in its field of that name."""
    return f"jmer {by}"


def mark(by: str) -> str:
    """The line of a page that says which command wrote it, for itself to know."""
    return MARK.format(f"jmer {by}".strip())


def wrote(page: Path, by: str) -> bool:
    """Whether `page`, or a picture, is one that this command wrote, to a place that it
    was given."""
    marks = (mark(by).encode(), b"Software\0" + software(by).encode())
    return any(one in _beginning(page) for one in marks)


def has_columns(table: Path, columns: Sequence[str]) -> bool:
    """Whether a CSV file begins with this header: it has no place for a mark."""
    return _beginning(table).startswith(f"{','.join(columns)}\n".encode())


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(BEGINNING)
    except OSError:
        return b""


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
