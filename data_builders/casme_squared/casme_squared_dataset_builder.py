"""TFDS builder of CAS(ME)²."""

import re
from pathlib import Path
from typing import ClassVar

from data_builders.annotation import SheetRow, subject_number
from data_builders.casme_squared import CasmeSquared
from data_builders.disk import one_of
from data_builders.frame_builder import FrameBuilder
from data_builders.sheets import Line
from jmer.errors import JmerError, quoted

# "naming rule1" and "naming rule2" of the workbook.
SUBJECTS = (15, 16, *range(19, 28), *range(29, 39), 40)
VIDEOS = {
    **{"disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402"},
    **{"happy1": "0502", "happy2": "0503", "happy3": "0505", "happy4": "0507"},
    "happy5": "0508",
}


class Builder(FrameBuilder):
    """Frames `s15/15_0101disgustingteeth/img001.jpg` of whole videos.

    The sheet has no header, and names subjects by their place in the list of subjects
    and videos by stimulus and number (`disgust2_3` is an expression in `disgust2`). A
    clip is called by that and its onset, since a video may hold several.
    """

    VERSION = "1.0.0"
    data: CasmeSquared
    first_frame = 1
    tables = ("CAS(ME)^2code_final*.xlsx", "CAS(ME)^2code_final*.csv")
    sheet = "CASFEcode_final"
    positions = (
        *("subject", "clip", "onset", "apex", "offset"),
        *("action_units", "emotion", "kind"),
    )
    roots: ClassVar = {"raw": ("rawpic",), "cropped": ("longVideoFaceCropped",)}
    subject_folder = r"s\d+"
    example_folder = "s15"

    def row(self, line: Line) -> SheetRow:
        values = line.values
        index = subject_number(values["subject"])
        known = index is not None and 1 <= index <= len(SUBJECTS)
        stimulus = re.match(r"[a-z]*", values["clip"].lower())
        return SheetRow(
            where=line.where,
            number=line.number,
            subject=f"s{SUBJECTS[index - 1]}" if index and known else "",
            clip=f"{values['clip']}_{values['onset']}" if values["clip"] else "",
            labels={
                "emotion": values["emotion"].lower(),
                "stimulus": stimulus.group() if stimulus else "",
                "kind": values["kind"].lower(),
            },
            onset=values["onset"],
            apex=values["apex"],
            offset=values["offset"],
            action_units=values["action_units"],
            folder=values["clip"].split("_")[0].lower(),
        )

    def left_out(self, row: SheetRow) -> str:
        if not row.labels["kind"].startswith(("macro", "micro")):
            raise JmerError(
                f"{row.where}: unknown kind of expression "
                f"{quoted(row.labels['kind'])}. It must be one of micro-expression, "
                f"macro-expression."
            )
        macro = row.labels["kind"].startswith("macro")
        return "macro-expressions" if macro else ""

    def clip_folder(self, row: SheetRow) -> Path | None:
        home = self.subject_home(row)
        code = VIDEOS.get(row.folder)
        if home is None or code is None:
            return None
        # One folder of s19 is said to start with another number: the code decides.
        there = self.disk.folders(home)
        return one_of([p for p in there if f"_{code}" in p.name])
