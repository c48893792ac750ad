"""TFDS builder of MMEW."""

import functools
import re
from pathlib import Path
from typing import ClassVar

from data_builders.annotation import SheetRow, by_row
from data_builders.frame_builder import FrameBuilder
from data_builders.mmew import OTHERS, SIX, Mmew
from jmer.errors import JmerError

# Data row: apex and offset.
ENDS = {
    **{33: (40, 75), 35: (15, 54), 36: (46, 59), 37: (20, 98), 38: (25, 80)},
    **{39: (20, 93), 40: (23, 58), 41: (28, 61), 42: (32, 68), 142: (56, 88)},
    **{143: (32, 80), 145: (27, 85), 146: (22, 61), 148: (29, 108), 154: (31, 72)},
    156: (38, 106),
}
CLIP = r"s\d+-\d+-\d+"


class Builder(FrameBuilder):
    """Frames `Micro_Expression/happiness/S13-07-001/1.jpg`, or, as the owners' page has
    it, `S03/happiness/S03-01-002/1.jpg`: a clip is found by its name, wherever it lies.

    Corrections are those of the public loader `meb` (T. Varanka), by data row of the
    sheet of 300.
    """

    VERSION = "1.0.0"
    data: Mmew
    first_frame = 1
    tables = ("MMEW_Micro_Exp*.xlsx", "MMEW_Micro_Exp*.xls", "MMEW_Micro_Exp*.csv")
    columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        "onset": ("OnsetFrame", "Onset"),
        "apex": ("ApexFrame", "Apex"),
        "offset": ("OffsetFrame", "Offset"),
        "emotion": ("Estimated Emotion", "Emotion"),
        "action_units": ("Action Units", "AU"),
    }
    corrections = (
        *by_row(300, "apex", {row: apex for row, (apex, _) in ENDS.items()}),
        *by_row(300, "offset", {row: offset for row, (_, offset) in ENDS.items()}),
    )
    roots: ClassVar = {"cropped": ("Micro_Expression", "MMEW_Final", "MMEW")}
    example_folder = "S03 or happiness"
    # Or of an emotion.
    subject_folder = rf"s\d+|{'|'.join((*SIX, *OTHERS))}"
    subject_name = "S{:02d}"

    @functools.cached_property
    def clip_folders(self) -> dict[str, list[Path]]:
        """The folders of frames by their names in lower case."""
        found: dict[str, list[Path]] = {}
        pattern = re.compile(self.subject_folder, re.IGNORECASE)
        for home in self.disk.folders(self.root):
            if not pattern.fullmatch(home.name):
                continue
            for folder in self.disk.folders(home):
                clip = re.fullmatch(CLIP, folder.name.lower())
                for place in (not clip and self.disk.folders(folder)) or (folder,):
                    found.setdefault(place.name.lower(), []).append(place)
        return found

    def clip_folder(self, row: SheetRow) -> Path | None:
        there = self.clip_folders.get(row.clip.lower(), [])
        if len(there) > 1:
            raise JmerError(
                f"{row.where}: clip {row.title} lies in {there[0]} and in {there[1]}. "
                f"Remove one of the two."
            )
        return there[0] if there else None
