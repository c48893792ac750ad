"""TFDS builder of parts A and C of CAS(ME)³."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from data_builders.annotation import Clip, Correction, SheetRow
from data_builders.casme_cubed import CasmeCubed
from data_builders.frame_builder import FrameBuilder
from data_builders.frame_files import Frame
from data_builders.sheets import Columns, Line, read_table
from jmer.errors import JmerError, quoted
from jmer.preprocess.tensors import Interval

HSTA_LONGEST = 50
MOMENTS = {"onset": ("Onset",), "offset": ("Offset",), "emotion": ("emotion",)}
A_COLUMNS = {
    "subject": ("Subject",),
    "clip": ("Filename",),
    "apex": ("Apex",),
    **MOMENTS,
    "objective class": ("Objective class",),
    "action_units": ("AU",),
}
C_COLUMNS = {
    "subject": ("sub",),
    # The letter of a video.
    "clip": ("count",),
    **MOMENTS,
    "action_units": ("au",),
}


class Builder(FrameBuilder):
    """Frames `spNo.1_a_355/355.jpg`, or `spNO.1/a/color/355.jpg` of whole videos.

    A clip is called by the letter of its video and its onset as the sheet has it.
    Macro-expressions come from a sheet of their own, and `_macro` ends their names.
    Corrections are those of the public loader `meb` (T. Varanka).

    Part C is `part_C/01/a/color/373.jpg`. Its sheet counts the files of a folder, from
    1, whatever they are called: that a file was lost cannot be noticed there.
    """

    VERSION = "1.0.0"
    data: CasmeCubed
    first_frame = 1
    corrections = (
        Correction("apex", "123", key=("spNO.149", "d_112")),
        Correction("offset", "34", key=("spNO.214", "c_5")),
        Correction("onset", "2647", key=("spNO.216", "d_3647")),
        Correction("onset", "1", key=("spNO.216", "e_0")),
        Correction("apex", "1", key=("spNO.216", "e_0")),
        Correction("offset", "1845", key=("spNO.40", "e_1812")),
        Correction("offset", "2403", key=("spNO.40", "e_2327")),
    )
    all_tables: ClassVar = ("CAS(ME)3_part_A_v2*.xls*", "CAS(ME)3_part_A_v2*.csv")
    all_sheet = "AU+Emotion"
    all_columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        "onset": ("Onset",),
        "apex": ("Apex",),
        "offset": ("Offset",),
        "objective class": ("Objective class",),
        "action_units": ("AU",),
        "kind": ("Expression type",),
    }

    @property
    def mock_crime(self) -> bool:
        return self.data.part == "C"

    @property
    def tables(self) -> tuple[str, ...]:
        name = "CAS(ME)3_part_C_ME" if self.mock_crime else "cas(me)3_part_A_ME_label"
        return f"{name}*.xlsx", f"{name}*.csv"

    @property
    def sheet(self) -> str:
        return "mockCrimeME" if self.mock_crime else "label"

    @property
    def columns(self) -> Columns:
        return C_COLUMNS if self.mock_crime else A_COLUMNS

    @property
    def roots(self) -> dict[str, tuple[str, ...]]:
        return {"clips": ("frame",), "videos": (f"part_{self.data.part}",)}

    @property
    def subject_name(self) -> str:
        return "{:02d}" if self.mock_crime else "spNO.{}"

    @property
    def some_train_only(self) -> bool:
        return self.data.macro

    def rows(self) -> list[SheetRow]:
        rows = super().rows()
        if not self.data.macro:
            return rows
        lines = read_table(
            self.second_table,
            self.all_columns,
            optional=("action_units",),
            sheet=self.all_sheet,
        )
        return rows + [self._macro(line) for line in lines if _is_macro(line)]

    @property
    def second_tables(self) -> tuple[str, ...]:
        return self.all_tables if self.data.macro else ()

    def _macro(self, line: Line) -> SheetRow:
        row = self.row(replace(line, values={**line.values, "emotion": ""}))
        clip = f"{row.clip}_macro" if row.clip else ""
        return replace(row, clip=clip, train_only=True)

    def sheet_digests(self) -> dict[str, str]:
        return self.digests_of(
            [self.table, self.second_table] if self.data.macro else [self.table]
        )

    @property
    def subject_folder(self) -> str:
        """Of clips, all lie side by side."""
        if self.mock_crime:
            return r"\d+"
        return r"spno\.\d+" + (r"_[a-m]_\d+" if self.data.source == "clips" else "")

    @property
    def example_folder(self) -> str:
        clips = self.data.source == "clips"
        return "01" if self.mock_crime else "spNO.1" + "_a_355" * clips

    def row(self, line: Line) -> SheetRow:
        row = super().row(line)
        video = row.clip.lower()
        name = f"{video}_{row.onset}" if video else ""
        return replace(row, clip=name, folder=video)

    def numbered(self, folder: Path) -> Mapping[int, Frame]:
        there = super().numbered(folder)
        if not self.mock_crime:
            return there
        return {i: there[n] for i, n in enumerate(sorted(there), start=1)}

    def moments(self, onset: int, apex: int, offset: int) -> Interval:
        if self.data.repairs == "none":
            return onset, apex, offset
        apex, offset = _in_order(onset, apex, offset)
        last = min(offset, onset + HSTA_LONGEST)
        return onset, min(apex, last), last

    def late_apex(self, onset: int, apex: int, offset: int) -> int | None:
        if self.data.repairs == "none" or self.data.late_apex == "clamped":
            return None
        apex, _ = _in_order(onset, apex, offset)
        return apex if apex > onset + HSTA_LONGEST else None

    @property
    def takes_still(self) -> bool:
        return self.data.repairs == "hsta"

    def video(self, clip: Clip) -> str:
        # Clips that lie apart keep the numbers of their video.
        return f"{clip.row.subject}/{clip.row.folder}"

    def clip_folder(self, row: SheetRow) -> Path | None:
        if self.data.source == "videos":
            home = self.subject_home(row)
            video = home and self.disk.child(home, row.folder)
            return video and self.disk.child(video, "color")
        # The folder is named by the onset, before its correction or after.
        names = (f"{row.subject}_{row.clip}", f"{row.subject}_{row.folder}_{row.onset}")
        found = (self.disk.child(self.root, name) for name in names)
        return next((folder for folder in found if folder), None)


def _in_order(onset: int, apex: int, offset: int) -> tuple[int, int]:
    """Apex and offset as the code of HSTA puts them right."""
    apex, offset = max(apex, onset), max(offset, onset)
    return ((onset + offset) // 2 if apex > offset else apex), offset


def _is_macro(line: Line) -> bool:
    """Raises: JmerError if the line is of neither kind."""
    kind = line.values["kind"].lower()
    if not kind.startswith(("macro", "micro")):
        raise JmerError(
            f"{line.where}: unknown expression type {quoted(line.values['kind'])}. It "
            f"must be micro-expression or macro-expression."
        )
    return kind.startswith("macro")
