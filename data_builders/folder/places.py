"""Where the clips of a table lie: folders of frames, and videos."""

import difflib
import os
import unicodedata
from pathlib import Path

from data_builders.annotation import SheetRow
from data_builders.disk import looking
from data_builders.video_files import ENDINGS, is_video
from jmer.data.asking import data_option
from jmer.data.problems import Unusable
from jmer.errors import quoted


def inside(root: Path, text: str) -> str:
    """A place as a table has it, from the root on; one that lies elsewhere stays what
    it is."""
    place = text.replace("\\", "/")
    base = os.path.abspath(root)  # noqa: PTH100  links stay links
    path = Path(os.path.normpath(Path(base, place)))
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else place


def place_of(root: Path, row: SheetRow) -> Path:
    """The folder or the video that a row names; a video also without its ending.

    Raises: JmerError if it is not there, lies elsewhere, or is neither.
    """
    if Path(row.folder).is_absolute() or ".." in Path(row.folder).parts:
        raise Unusable(
            f"{row.where}: {row.folder} does not lie in {root}. Choose "
            f"{data_option('root', 'DIR')}, a folder that has all clips, and write "
            f"places from there.",
            "clips that lie elsewhere",
        )
    with looking(root / row.folder):
        path = _spelt(root, row.folder)
        if path.is_dir() or (path.is_file() and is_video(path)):
            return path
        if path.exists():
            raise Unusable(
                f"{row.where}: {path} is neither a folder of frames nor a video "
                f"({', '.join(ENDINGS)}). Name one of them.",
                "clips that are neither folders nor videos",
            )
        if path.is_symlink():
            raise Unusable(
                f"{row.where}: {path} is a link that leads nowhere. Restore what it "
                f"stands for, or remove the row.",
                "links that lead nowhere",
            )
        beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    videos = [p for p in beside if p.stem == path.name and is_video(p)]
    if len(videos) == 1:
        return videos[0]
    names = sorted(p.name for p in videos or beside)
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    near = near or [name for name in names if name.lower() == path.name.lower()]
    meant = f": there are {', '.join(names)}" if videos else ""
    if near and not videos:
        meant = f" (did you mean {quoted(near[0])}?)"
    raise Unusable(
        f"{row.where}: no folder of clip {row.title} in {root}, and no video (the "
        f"table says {quoted(row.folder)}){meant}. Restore it, correct the place, or "
        f"remove the row.",
        "clips without a folder",
    )


def _spelt(root: Path, place: str) -> Path:
    """The path as it is on disk, where a letter and its accent may be written as two,
    and in a table as one."""
    path = root / place
    if path.exists():
        return path
    path = root
    for part in Path(place).parts:
        names = os.listdir(path) if path.is_dir() else []  # noqa: PTH208
        alike = [n for n in names if unicodedata.normalize("NFC", n) == part]
        path /= part if part in names or len(alike) != 1 else alike[0]
    return path
