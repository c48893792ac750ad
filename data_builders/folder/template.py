"""The table of a set of one's own, begun: a row for each clip that lies in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from data_builders import image_files, video_files
from data_builders.disk import looking
from data_builders.frame_numbers import numbered
from data_builders.video_files import is_video
from jmer.errors import JmerError

HEADER = ("clip", "subject", "label", "onset", "apex", "offset")
RUN = "experiment.json"
"""What each run directory has."""
DRAWN = ("figures", "thumbnails")
"""Folders of pictures beside a page that jmer wrote."""


def rows(root: Path) -> list[tuple[str, ...]]:
    """The header, and a row for each video and each folder of frames below `root`, by
    name: where it lies, and the folder that it lies in as its subject.

    A file or folder that several links lead to comes once, where it lies without them
    if that is below `root`. Links out of `root` are followed, but for those to a folder
    around it. What jmer wrote of runs and predictions is passed over.

    Raises: JmerError if a folder cannot be read, or there is no clip.
    """
    made: list[tuple[str, ...]] = [HEADER]
    for place in sorted(_clips(root), key=lambda path: path.parts):
        inside = place.relative_to(root)
        above = inside.parts[-2] if len(inside.parts) > 1 else ""
        made.append((inside.as_posix(), above, "", "", "", ""))
    if len(made) == 1:
        raise JmerError(
            f"{root} has no clips: no video ({', '.join(video_files.ENDINGS)}) lies "
            f"below it, and no folder of frames ({', '.join(image_files.ENDINGS)}) "
            f"whose names count them. Give the folder that clips lie in, with "
            f"--root DIR."
        )
    return made


def _clips(root: Path) -> Iterator[Path]:
    seen, links = {os.path.realpath(root)}, list[Path]()
    yield from _below(root, seen, links)
    # What lies there itself goes before what a link leads to.
    for link in links:  # which grows where a link leads to others
        yield from _at(link, root, seen, links)


def _below(folder: Path, seen: set[str], links: list[Path]) -> Iterator[Path]:
    with looking(folder):
        inside = sorted(folder.iterdir())
    drawn = _is_page(inside)
    for path in inside:
        if path.name.startswith(".") or (drawn and path.name in DRAWN):
            continue
        if path.is_symlink():
            links.append(path)
        else:
            yield from _at(path, folder, seen, links)


def _at(path: Path, root: Path, seen: set[str], links: list[Path]) -> Iterator[Path]:
    """The clips at a place, unless it was seen, or is a folder that holds `root`."""
    real = os.path.realpath(path)
    if real in seen or Path(os.path.realpath(root)).is_relative_to(real):
        return
    seen.add(real)
    with looking(path):
        folder = path.is_dir()
    if not folder:
        yield from [path] if is_video(path) else []
    elif not (path / RUN).is_file():
        yield from [path] if _has_frames(path) else _below(path, seen, links)


def _is_page(inside: list[Path]) -> bool:
    """Whether jmer wrote a page in a folder: in Markdown and HTML, of one name."""
    names = {path.name for path in inside}
    return any(f"{path.stem}.md" in names for path in inside if path.suffix == ".html")


def _has_frames(folder: Path) -> bool:
    with looking(folder):
        paths = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        return bool(numbered(folder, paths))
    except JmerError:  # which numbers count is for `check` to say
        return True
