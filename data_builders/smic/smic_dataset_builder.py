"""TFDS builder of SMIC."""

import hashlib
import re
from pathlib import Path
from typing import ClassVar

from data_builders import frames
from data_builders.annotation import Row, subject_number
from data_builders.frame_builder import FrameBuilder
from data_builders.smic import Smic
from jmer.errors import JmerError

TAGS = {"ne": "negative", "po": "positive", "sur": "surprise"}


class Builder(FrameBuilder):
    """Frames `HS/s1/micro/negative/s1_ne_01/image012345.bmp`.

    There is no sheet: the folder of a clip is its row, and its first and last frame
    are onset and offset. Subjects and clips get the padded names of published lists
    (`s01`, `s01_ne_01`).
    """

    VERSION = "1.0.0"
    data: Smic
    roots: ClassVar = {
        "raw": ("SMIC_all_raw", "SMIC_raw"),
        "cropped": ("SMIC_all_cropped", "SMIC_cropped"),
    }
    subject_folder = r"s\d+"

    def _holds_subjects(self, folder):
        part = frames.children(folder).get(self.data.part.lower())
        return part is not None and super()._holds_subjects(part)

    @property
    def part(self) -> Path:
        return frames.children(self.root)[self.data.part.lower()]

    def rows(self):
        return [
            self._row(i, clip)
            for i, clip in enumerate(sorted(self.part.glob("s*/micro/*/*")))
            if clip.is_dir()
        ]

    def _row(self, number: int, folder: Path) -> Row:
        there = sorted(frames.numbered(folder))
        found = re.fullmatch(r"s(\d+)_(ne|po|sur)_(\d+)", folder.name.lower())
        if found is None:
            raise JmerError(
                f"{folder} is no name of a clip, such as s1_ne_01. Rename it, or move "
                f"it elsewhere."
            )
        subject, tag, clip = found.groups()
        emotion = folder.parent.name.lower()
        home = folder.parent.parent.parent.name
        if emotion != TAGS[tag] or int(subject) != subject_number(home):
            raise JmerError(
                f"{folder} lies among the {emotion} clips of {home}, but its name says "
                f"{TAGS[tag]} of s{subject}. Put it where it belongs."
            )
        return Row(
            where=str(folder),
            number=number,
            subject=f"s{int(subject):02d}",
            clip=f"s{int(subject):02d}_{tag}_{int(clip):02d}",
            labels={"emotion": emotion},
            onset=str(there[0]) if there else "",
            apex="",
            offset=str(there[-1]) if there else "",
            folder=str(folder),
        )

    def clip_folder(self, row):
        return Path(row.folder)

    def _sheet_digest(self):
        # A clip more or less is a change, too.
        names = "\n".join(row.title for row, _ in self.annotation.chosen)
        digest = hashlib.sha256(names.encode()).hexdigest()[:16]
        return {str(self.part.relative_to(self.require_manual_dir())): digest}
