"""The table of a set of one's own, begun: a row for each clip that lies in a folder."""

from collections.abc import Iterator
from pathlib import Path

from data_builders.disk import looking
from data_builders.frame_numbers import numbered
from data_builders.video_files import is_video
from jmer.errors import JmerError

HEADER = ("clip", "subject", "label", "onset", "apex", "offset")


def rows(root: Path) -> list[tuple[str, ...]]:
    """The header, and a row for each video and each folder of frames below `root`, by
    name: where it lies, and the folder that it lies in as its subject.

    Raises: JmerError if a folder cannot be read.
    """
    made: list[tuple[str, ...]] = [HEADER]
    for place in _clips(root):
        inside = place.relative_to(root)
        above = inside.parts[-2] if len(inside.parts) > 1 else ""
        made.append((inside.as_posix(), above, "", "", "", ""))
    return made


def _clips(folder: Path) -> Iterator[Path]:
    with looking(folder):
        inside = sorted(folder.iterdir())
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from [path] if _has_frames(path) else _clips(path)
        elif is_video(path):
            yield path


def _has_frames(folder: Path) -> bool:
    with looking(folder):
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        return bool(numbered(folder, paths))
    except JmerError:  # which numbers count is for `check` to say
        return True
