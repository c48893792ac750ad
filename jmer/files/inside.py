"""Folders from somebody else: what they name stays in them, and is a plain file.

A run may come from anyone. What it names, in a file or by a link, is read and written
only within its own folder; nothing in it can keep a reader waiting, or fill the memory.
"""

import errno
import os
import stat
from pathlib import Path, PureWindowsPath

from jmer.errors import JmerError, quoted

MOST_JSON = 64 * 2**20
"""Bytes of a JSON file; what Python makes of that stays below 2 GiB."""
MOST_PICTURE = 32 * 2**20
"""Bytes of a figure that a report embeds."""
MOST_PIXELS = 64_000_000
"""Of a figure; more would keep whoever opens the report waiting."""

NO_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""A pipe or a terminal that stands where a file should answers at once."""


def inside(folder: Path, named: object, file: Path, field: str) -> Path:
    """The place in `folder` that the `field` of a `file` in it names.

    Raises: JmerError if that is no relative path, or leads out of the folder, by
    itself or by a link.
    """
    if not isinstance(named, str) or not _relative(named):
        raise _outside(file, field, named)
    try:
        place = (folder / named).resolve()
        within = place.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, names too long
        within = False
    if not within:
        raise _outside(file, field, named)
    return folder / named


def _relative(named: str) -> bool:
    """Whether it is a path below a folder on every system, and nothing a shell or a
    library would take for a place elsewhere."""
    windows = PureWindowsPath(named)
    return (
        named.isprintable()
        and not named.startswith(("/", "~"))
        and "\\" not in named
        and "://" not in named
        and not windows.anchor
        and bool(windows.parts)
        and ".." not in windows.parts
    )


def _outside(file: Path, field: str, named: object) -> JmerError:
    return JmerError(
        f"{file}: {field} is {quoted(named)}, which is no path within {file.parent}. "
        f"The file was edited or damaged: restore it, or write it again."
    )


def require_contained(folder: Path) -> None:
    """Raises: JmerError for the first thing in `folder` that is a link out of it, or
    neither a file nor a folder, such as a device or a pipe."""
    try:
        root = os.path.realpath(folder)
        left = [root]
        while left:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        _require_within(root, entry)
                    elif entry.is_dir(follow_symlinks=False):
                        left.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        raise JmerError(
                            f"{_shown(folder, root, entry)} is neither a file nor a "
                            f"folder: remove it, then type the same command again."
                        )
    except OSError as error:
        raise JmerError(f"cannot read {folder}: {error.strerror}.") from error


def _require_within(root: str, entry: os.DirEntry[str]) -> None:
    place = os.path.realpath(entry.path)
    if place != root and not place.startswith(root.rstrip("/") + "/"):
        raise JmerError(
            f"{entry.path} is a link out of {root}, and nothing outside a run is read "
            f"or written for it. If it is yours, put what it leads to in its place, "
            f"then type the same command again."
        )


def _shown(folder: Path, root: str, entry: os.DirEntry[str]) -> Path:
    return folder / os.path.relpath(entry.path, root)


def read_regular(file: Path, most: int) -> bytes:
    """The content of a plain file of at most `most` bytes.

    Raises: OSError if it cannot be read; JmerError if it is a device, a pipe or a
    folder, or is larger.
    """
    descriptor = os.open(file, NO_WAITING)
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(about.st_mode):
            raise JmerError(f"cannot read {file}: it is a device or a pipe, no file.")
        size = about.st_size
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(most + 1) if size <= most else b""
    finally:
        os.close(descriptor)
    if max(len(content), size) > most:
        raise JmerError(
            f"{file} has more than the {most // 2**20} MiB that such a file may have. "
            f"It was edited or damaged: restore it, or write it again."
        )
    return content


def read_picture(file: Path) -> bytes:
    """The content of a PNG file.

    Raises: JmerError if it is something else, such as a file that must not get into a
    report, or has more than 32 MiB or 64 million pixels.
    """
    try:
        content = read_regular(file, MOST_PICTURE)
    except OSError as error:
        raise JmerError(f"cannot read {file}: {error.strerror}.") from error
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    fits = content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    if not fits or not 0 < width * height <= MOST_PIXELS:
        raise JmerError(
            f"{file} is no PNG image that a report can show. It was edited or damaged: "
            f"remove it, or write it again."
        )
    return content
