"""TFDS builder of SMIC."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from data_builders import frames
from data_builders.annotation import Row, subject_number
from data_builders.frame_builder import FrameBuilder
from data_builders.smic import Smic
from jmer.errors import JmerError

CLIP = r"s(\d{1,9})_(ne|po|sur)_(\d{1,9})"
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
        part = frames.child(folder, self.data.part)
        return part is not None and super()._holds_subjects(part)

    @property
    def part(self) -> Path:
        return frames.child(self.root, self.data.part) or self.root

    def rows(self):
        return [self._row(i, clip) for i, clip in enumerate(self._clips())]

    def _clips(self) -> Iterator[Path]:
        """Raises: JmerError if what is called as a clip or holds clips is no folder of
        one."""
        for home in frames.folders(self.part):
            micro = frames.child(home, "micro")
            if micro is None:
                continue
            if not re.fullmatch(self.subject_folder, home.name, re.IGNORECASE):
                raise JmerError(
                    f"{home} holds clips, but is no name of a subject, such as s1. "
                    f"Rename it, or move it elsewhere."
                )
            for emotion in frames.folders(micro):
                with frames.looking(emotion):
                    inside = sorted(emotion.iterdir())
                for path in inside:
                    if path.is_dir():
                        yield path
                    elif re.fullmatch(CLIP, path.name.lower()):
                        raise JmerError(f"{path} is no folder. Restore that clip.")

    def _row(self, number: int, folder: Path) -> Row:
        there = sorted(frames.numbered(folder))
        found = re.fullmatch(CLIP, folder.name.lower())
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
