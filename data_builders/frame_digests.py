"""Hashes of the frames that a set is made from."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_builders.annotation import Clip
from data_builders.disk import content_hash
from data_builders.video_files import VideoFrame


def with_clips(
    sheets: Mapping[str, str], clips: Iterable[Clip], base: Path
) -> dict[str, str]:
    """Hashes of `sheets`, and for each clip below `base` of the names and sizes of all
    frames and the content of three: to read every frame again at each load takes
    minutes. Of a clip in a video, of the whole file and which frames they are.
    """
    made, videos = dict(sheets), dict[Path, str]()
    for clip in clips:
        digest = hashlib.sha256()
        for frame in clip.frames:
            if isinstance(frame, VideoFrame):
                if frame.file not in videos:
                    videos[frame.file] = content_hash(frame.file)
                digest.update(f"{frame.index} of {videos[frame.file]}\n".encode())
            else:
                # The name as the disk has it, in whatever encoding.
                size = frame.stat().st_size
                digest.update(os.fsencode(frame.name) + f" {size}\n".encode())
        _add_pictures(digest, clip)
        place = f"{clip.folder.relative_to(base)}"
        # A folder may hold more than one clip.
        key = place if place not in made else f"{place}/{clip.frames[clip.before].name}"
        made[key] = digest.hexdigest()[:16]
    return made


def _add_pictures(digest: Any, clip: Clip) -> None:
    """The image files of onset, apex and offset, and of an apex after that."""
    for frame in (*(clip.frames[i] for i in clip.interval), clip.late_apex):
        if isinstance(frame, Path):
            digest.update(frame.read_bytes())
