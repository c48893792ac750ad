"""TFDS builder of CASME II."""

from dataclasses import replace
from typing import ClassVar

from data_builders.annotation import SheetRow, by_row, subject_number
from data_builders.casme2 import Casme2
from data_builders.frame_builder import FrameBuilder
from data_builders.frame_set import OBJECTIVE_CLASS
from data_builders.sheets import read_table
from jmer.errors import JmerError

APEXES = {
    **{29: 279, 35: 68, 43: 77, 45: 81, 51: 166, 53: 100, 60: 78, 117: 187, 118: 89},
    **{126: 80, 136: 88, 147: 134, 155: 231, 168: 53, 170: 329, 177: 111, 202: 91},
    **{203: 103, 234: 98, 237: 153, 238: 98},
}
LATER = 222  # the row that the sheet of 2014 lacks


class Builder(FrameBuilder):
    """Frames `sub01/EP02_01f/img46.jpg` (`reg_img46.jpg` where cropped).

    Corrections are those of the public loader `meb` (T. Varanka), by data row of the
    sheet of 256 rows, and of that of 255 rows, which lacks one.
    """

    VERSION = "1.0.0"
    data: Casme2
    first_frame = 1
    tables = ("CASME2-coding*.xlsx", "CASME2-coding*.xls", "CASME2-coding*.csv")
    sheet = "Sheet1"
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
        *by_row(256, "offset", {60: 91}),
        *by_row(256, "apex", APEXES),
        *by_row(255, "offset", {60: 91}),
        *by_row(255, "apex", {row - (row > LATER): a for row, a in APEXES.items()}),
    )
    roots: ClassVar = {
        "raw": ("CASME2_RAW_selected", "CASME2-RAW", "CASME2_RAW"),
        "cropped": ("Cropped", "CASME2_Cropped"),
    }
    subject_folder = r"sub\d+"
    subject_name = "sub{:02d}"

    class_tables: ClassVar = tuple(
        f"CASME2-ObjectiveClasses*.{ending}" for ending in ("xlsx", "xls", "csv")
    )
    class_columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        OBJECTIVE_CLASS: ("Objective Class", "Objective Classes"),
    }

    def rows(self) -> list[SheetRow]:
        rows = super().rows()
        if self.data.classes != "objective":
            return rows
        found = {}
        for line in read_table(self.second_table, self.class_columns):
            key = subject_number(line.values["subject"]), line.values["clip"].lower()
            if key in found:
                raise JmerError(
                    f"{line.where}: duplicate clip {line.values['clip']} of subject "
                    f"{line.values['subject']}. Remove one of the two."
                )
            found[key] = line.values[OBJECTIVE_CLASS].lower()
        return [
            replace(row, labels={**row.labels, OBJECTIVE_CLASS: found.get(key, "none")})
            for row in rows
            for key in [(subject_number(row.subject), row.clip.lower())]
        ]

    @property
    def second_tables(self) -> tuple[str, ...]:
        return self.class_tables if self.data.classes == "objective" else ()

    def sheet_digests(self) -> dict[str, str]:
        tables = [self.table]
        if self.data.classes == "objective":
            tables.append(self.second_table)
        return self.digests_of(tables)
