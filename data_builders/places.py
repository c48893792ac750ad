"""Where a data set lies that is not where it was said to be: a folder up, or down."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from jmer.data.asking import data_option

UP, DOWN = 3, 4
MOST = 3000  # folders to look at


def hint(base: Path, holds: Callable[[Path], bool]) -> str:
    """What to say of the first folder above or below `base` that `holds` the set;
    nothing if none does."""
    for folder in _near(base):
        with contextlib.suppress(Exception):
            if holds(folder):
                return (
                    f" They are there with {data_option('manual_dir', folder)} instead."
                )
    return ""


def _near(base: Path) -> Iterator[Path]:
    """Folders above, the nearest first, then those below; never a root or a home."""
    whole = base.absolute()
    for above in list(whole.parents)[:UP]:
        if above != Path(above.anchor) and above.parent != Path(above.anchor):
            yield above
    level, left = [whole], MOST
    for _ in range(DOWN):
        below = []
        for folder in level:
            with contextlib.suppress(OSError):
                inside = sorted(p for p in folder.iterdir() if p.is_dir())
                below += inside[: max(left, 0)]
                left -= len(inside)
        yield from below
        level = below


def some(folder: Path, *, most: int = 3) -> str:
    """Names of the first folders in a folder, and how many more there are."""
    with contextlib.suppress(OSError):
        names = sorted(p.name for p in folder.iterdir() if p.is_dir())
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more
    return ""
