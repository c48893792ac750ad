"""Hashes of the frames that a set is made from."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from data_builders.annotation import Clip


def with_clips(
    sheets: Mapping[str, str], clips: Iterable[Clip], base: Path
) -> dict[str, str]:
    """Hashes of `sheets`, and for each clip below `base` of the names and sizes of all
    frames and the content of three: to read every frame again at each load takes
    minutes.
    """
    made = dict(sheets)
    for clip in clips:
        digest = hashlib.sha256()
        for path in clip.frames:
            # The name as the disk has it, in whatever encoding.
            size = path.stat().st_size
            digest.update(os.fsencode(path.name) + f" {size}\n".encode())
        for moment in clip.interval:
            digest.update(clip.frames[moment].read_bytes())
        if clip.late_apex is not None:
            digest.update(clip.late_apex.read_bytes())
        place = f"{clip.folder.relative_to(base)}"
        # A folder may hold more than one clip.
        key = place if place not in made else f"{place}/{clip.frames[clip.before].name}"
        made[key] = digest.hexdigest()[:16]
    return made
