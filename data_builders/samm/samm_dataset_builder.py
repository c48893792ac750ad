"""TFDS builder of SAMM."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from data_builders.annotation import Clip, Correction, SheetRow, by_row
from data_builders.frame_builder import FrameBuilder
from data_builders.frame_set import ACTION_UNITS
from data_builders.samm import Samm
from data_builders.sheets import Columns, Line, read_table
from jmer.errors import JmerError, quoted

CLIPS = ("SAMM_Micro_FACS_Codes*.xlsx", "SAMM_Micro_FACS_Codes*.csv")
VIDEOS = ("SAMM_LongVideos*.xlsx", "SAMM_LongVideos*.csv")
COLUMNS = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "onset": ("Onset Frame", "Onset"),
    "apex": ("Apex Frame", "Apex"),
    "offset": ("Offset Frame", "Offset"),
    "action_units": ("Action Units", "AU"),
}
LABELS = {
    "emotion": ("Estimated Emotion", "Emotion"),
    "objective class": ("Objective Classes", "Objective Class"),
}
CORRECTIONS = (
    Correction("offset", "5739", key=("013", "013_1_9")),
    Correction("apex", "1105", key=("028", "028_4_1")),
    Correction("apex", "4945", key=("032", "032_3_1")),
    Correction("apex", "5130", key=("032", "032_3_2")),
    *by_row(159, "action_units", {15: "R12 + R15", 18: "R12 + R15", 41: "L14"}),
    *by_row(159, "action_units", {64: "R14", 154: "R14A"}),
)


class Builder(FrameBuilder):
    """Frames `006/006_1_2/006_05562.jpg`; grey images become three equal channels.

    Corrections are those of the public loader `meb` (T. Varanka); of action units, by
    data row of the sheet of 159.

    Long videos are `SAMM_longvideos/006_1/006_1_0001.jpg`, with a sheet of their own,
    in which frames are counted anew, and which knows no emotions: they come from the
    sheet of the clips, by name. Macro-expressions have none, and are left out.
    """

    VERSION = "1.0.0"
    data: Samm
    first_frame = 1

    @property
    def long(self) -> bool:
        return self.data.source == "long"

    @property
    def tables(self) -> tuple[str, ...]:
        return VIDEOS if self.long else CLIPS

    @property
    def second_tables(self) -> tuple[str, ...]:
        return CLIPS if self.long else ()

    @property
    def sheet(self) -> str:
        return "FACS_Movement_Only" if self.long else "MICRO_ONLY"

    @property
    def columns(self) -> Columns:
        return {**COLUMNS, **({"kind": ("Type",)} if self.long else LABELS)}

    @property
    def corrections(self) -> tuple[Correction, ...]:
        return () if self.long else CORRECTIONS

    roots: ClassVar = {"raw": ("SAMM",), "long": ("SAMM_longvideos",)}
    subject_name = "{:03d}"

    @property
    def subject_folder(self) -> str:
        """Of videos, all lie side by side."""
        return r"\d{1,3}_\d+" if self.long else r"\d{1,3}"

    @property
    def example_folder(self) -> str:
        return "006_1" if self.long else "006"

    def row(self, line: Line) -> SheetRow:
        row = super().row(line)
        if not self.long:
            return row
        kind = line.values["kind"].lower()
        if not kind.startswith(("macro", "micro")):
            raise JmerError(
                f"{line.where}: unknown type {quoted(line.values['kind'])} of clip "
                f"{row.title}. It must be Macro or Micro."
            )
        labels = {**row.labels, **self.labels.get(row.key, {}), "kind": kind}
        return replace(row, labels=labels, folder=_video(row))

    def video(self, clip: Clip) -> str:
        # Clips that lie apart keep the numbers of their video.
        return _video(clip.row)

    @functools.cached_property
    def labels(self) -> dict[tuple[str, str], dict[str, str]]:
        """The words of the sheet of clips, by subject and clip."""
        optional = self.optional | {"action_units"}
        columns = {**COLUMNS, **LABELS}
        lines = read_table(
            self.second_table, columns, optional=optional, sheet="MICRO_ONLY"
        )
        rows = [super(Builder, self).row(line) for line in lines]
        return {row.key: dict(row.labels) for row in rows}

    def left_out(self, row: SheetRow) -> str:
        if not self.long:
            return ""
        if row.labels["kind"].startswith("macro"):
            return "macro-expressions"
        column, named = self.data.rules.column, row.subject and row.clip
        if named and column != ACTION_UNITS and not row.labels[column]:
            return "micro-expressions that the sheet of clips lacks"
        return ""

    def clip_folder(self, row: SheetRow) -> Path | None:
        if self.long:
            return self.disk.child(self.root, row.folder)
        return super().clip_folder(row)

    def sheet_digests(self) -> dict[str, str]:
        second = [self.second_table] if self.long else []
        return self.digests_of([self.table, *second])


def _video(row: SheetRow) -> str:
    """The long video that a clip is part of: 006_1 of 006_1_2."""
    return "_".join(row.clip.split("_")[:2])
