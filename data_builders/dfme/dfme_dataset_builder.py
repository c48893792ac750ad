"""TFDS builder of DFME."""

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from data_builders.annotation import SheetRow
from data_builders.dfme import EMOTIONS, Dfme
from data_builders.frame_builder import FrameBuilder
from data_builders.sheets import Line
from jmer.errors import JmerError, quoted

TABLES = {
    "training": ("*train*",),
    "testA": ("*testA*", "*test_A*", "*test_data_A*"),
    "testB": ("*testB*", "*test_B*", "*test_data_B*"),
}
ROOTS = {
    "training": ("train_data", "training_data", "train", "training"),
    "testA": ("test_data_A", "testA", "test_A"),
    "testB": ("test_data_B", "testB", "test_B"),
}


class Builder(FrameBuilder):
    """Frames `sub0003_01/00000.png`, numbered from 0; all clips lie side by side.

    Each clip has its own frame rate. An emotion whose number in the list is that of
    another is an error.
    """

    VERSION = "1.0.0"
    data: Dfme
    first_frame = 0
    columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        "onset": ("OnsetFrame", "Onset"),
        "apex": ("ApexFrame", "Apex"),
        "offset": ("OffsetFrame", "Offset"),
        "emotion": ("Emotion",),
        "number": ("EmotionId",),
        "frame_rate": ("Fps",),
        "action_units": ("AU", "Action Units"),
    }
    subject_folder = r"sub\d+_\d+"
    example_folder = "sub0003_01"
    subject_name = "sub{:04d}"

    @property
    def tables(self) -> tuple[str, ...]:
        names = TABLES[self.data.part]
        return tuple(f"{name}.{e}" for name in names for e in ("xlsx", "xls", "csv"))

    @property
    def roots(self) -> dict[str, tuple[str, ...]]:
        return {"raw": (*ROOTS[self.data.part], "DFME")}

    @property
    def optional(self) -> set[str]:
        return super().optional | {"number", "frame_rate"}

    def row(self, line: Line) -> SheetRow:
        row = super().row(line)
        emotion, number = row.labels["emotion"], line.values.get("number", "")
        own = EMOTIONS.index(emotion) if emotion in EMOTIONS else None
        if number and own is not None and number != f"{own}":
            raise JmerError(
                f"{line.where}: emotion {emotion} of clip {row.title} has number "
                f"{number}, but is number {own}. Correct the list."
            )
        return replace(row, frame_rate=_rate(line))

    def clip_folder(self, row: SheetRow) -> Path | None:
        return self.disk.child(self.root, row.clip)


def _rate(line: Line) -> float:
    """Frames a second, 0 where the list does not say.

    Raises: JmerError if it says something else.
    """
    text = line.values.get("frame_rate", "")
    if text and not re.fullmatch(r"[1-9]\d{0,4}(\.\d+)?", text):
        raise JmerError(
            f"{line.where}: {quoted(text)} is no number of frames a second. Correct "
            f"the list."
        )
    return float(text or 0)
