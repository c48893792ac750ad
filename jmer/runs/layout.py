"""What jmer writes in a run directory: all that may be removed with a run.

Whatever else lies there is somebody's, and stays.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jmer.files import writing
from jmer.files.remains import is_part
from jmer.runs.folder import (
    ARRANGEMENT,
    AUDIT,
    CHECKPOINTS,
    COMPARISON_CSV,
    COMPARISON_TEX,
    DESCRIPTION,
    EXPLAIN,
    EXPLAINED,
    FIGURES,
    LOCK,
    METRICS,
    PREDICTIONS,
    PROGRESS,
    REPORT,
    SCORES_CSV,
    SCORES_TEX,
    SPOTTED,
    SPOTTING,
)

SHOWN = 5  # names of what is kept
PACK = r"pack-\d+(/\d+-tasks-[0-9a-f]+)?"
STEP = r"\d+(\.orbax-checkpoint-tmp[^/]*)?"
FILES = [
    *map(re.escape, (DESCRIPTION, METRICS, PREDICTIONS, PROGRESS)),
    *map(re.escape, (SCORES_CSV, SCORES_TEX, COMPARISON_CSV, COMPARISON_TEX)),
    re.escape(PROGRESS).replace(r"\.", r"-\d+\."),  # of other processes
    *(rf"{REPORT}\.{end}" for end in ("md", "html")),
    *(rf"{AUDIT}\.{end}" for end in ("md", "json")),
    r"tensorboard(-\d+)?/events\.out\.tfevents\.[^/]*",
    rf"{FIGURES}/(confusion|learning|subjects)\.png",
    r"thumbnails/(\d\d\.png|thumbnails\.json)",
    rf"{SPOTTING}/({re.escape(SPOTTED)}|frames\.csv)",
    rf"{SPOTTING}/{FIGURES}/(roc|(intensity|maps)-\d\d)\.png",
    rf"{EXPLAIN}/[^/]+/({re.escape(EXPLAINED)}|{EXPLAIN}\.(md|html))",
    rf"{CHECKPOINTS}/{re.escape(ARRANGEMENT)}",
    rf"{CHECKPOINTS}/({PACK}/)?{STEP}(/.*)?",
]
OWN = re.compile("|".join(f"(?:{one})" for one in FILES), re.DOTALL)
"""Files, from the run directory; what is named in a page beside it is a figure too."""
PAGES = (f"{REPORT}.md", f"{EXPLAIN}.md", EXPLAINED)
DRAWN = re.compile(rf"{FIGURES}/[\w.-]+\.png")
LARGEST = 64 * 2**20  # bytes of a page


def remove_run(folder: Path, say: Callable[[str], Any]) -> None:
    """Removes what jmer wrote in a run directory but its lock and its description,
    which the next run replaces: killed in between, it is still a run. `say` is told
    what is kept.

    Raises: JmerError if something cannot be removed.
    """
    kept = []
    with writing(folder):
        for path in [*_leaves(folder, folder)]:
            if path.relative_to(folder).as_posix() in (DESCRIPTION, LOCK):
                continue
            if is_own(path, folder):
                path.unlink()
            else:
                kept.append(path)
        _remove_empty(folder)
    if kept:
        more = f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        named = ", ".join(str(path) for path in kept[:SHOWN])
        say(f"kept, for jmer did not write it: {named}{more}")


def is_own(path: Path, folder: Path) -> bool:
    """Whether a file or link in a run directory is one that jmer writes there."""
    name = path.relative_to(folder).as_posix()
    if OWN.fullmatch(name) or is_part(path):
        return True
    drawn = path.parent.name == FIGURES and name.startswith((FIGURES, EXPLAIN))
    return drawn and f"{FIGURES}/{path.name}" in _drawn(path.parent.parent)


def _drawn(folder: Path) -> set[str]:
    """Figures that a page in a folder names."""
    found: set[str] = set()
    for name in PAGES:
        page = folder / name
        if page.is_file() and page.stat().st_size <= LARGEST:
            text = page.read_text(encoding="utf-8", errors="replace")
            found.update(DRAWN.findall(text))
    return found


def _leaves(folder: Path, top: Path) -> Iterator[Path]:
    """Files and links, figures before the pages that name them, and whole folders that
    are none of a run's."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda e: (not _is_folder(e), e.name))
    for entry in found:
        path = Path(entry.path)
        if not _is_folder(entry):
            yield path
        elif _may_be_own(path.relative_to(top).as_posix()):
            yield from _leaves(path, top)
        else:
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


FOLDERS = re.compile(
    rf"{CHECKPOINTS}(/(pack-|\d).*)?|{FIGURES}|thumbnails|tensorboard(-\d+)?"
    rf"|{SPOTTING}(/{FIGURES})?|{EXPLAIN}(/[^/]+(/{FIGURES})?)?",
    re.DOTALL,
)


def _may_be_own(name: str) -> bool:
    return FOLDERS.fullmatch(name) is not None


def _remove_empty(folder: Path) -> None:
    """Folders of a run that nothing is left in."""
    for path in sorted(folder.rglob("*"), reverse=True):
        own = _may_be_own(path.relative_to(folder).as_posix())
        if own and path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):  # something was kept there
                path.rmdir()
