"""TFDS builder of CASME."""

from typing import ClassVar

from data_builders.annotation import by_row
from data_builders.casme import Casme
from data_builders.frame_builder import FrameBuilder


class Builder(FrameBuilder):
    """Frames `sub01/EP01_12/EP01_12-1.jpg` (`reg_EP01_12-1.jpg` where cropped).

    The sheet has a second apex for some clips, which is not read. Corrections are
    those of the public loader `meb` (T. Varanka), by data row of the sheet of 189.
    """

    VERSION = "1.0.0"
    data: Casme
    first_frame = 1
    tables = ("CASME*.xlsx", "CASME*.xls", "CASME*.csv")
    columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        # The sheet also has columns Onset and Offset, of unknown meaning.
        "onset": ("OnsetF", "OnsetFrame"),
        "apex": ("ApexF1", "ApexF", "ApexFrame"),
        "offset": ("OffsetF", "OffsetFrame"),
        "emotion": ("Emotion", "Estimated Emotion"),
        "action_units": ("AU", "Action Units"),
    }
    corrections = (
        *by_row(189, "onset", {40: 100, 42: 101, 43: 57}),
        *by_row(189, "apex", {40: 120, 42: 110, 43: 65}),
        *by_row(189, "offset", {40: 149, 42: 119, 43: 74, 54: 40, 140: 142}),
    )
    roots: ClassVar = {
        "raw": ("CASME_raw_selected", "CASME_raw"),
        "cropped": ("Cropped", "CASME_cropped"),
    }
    subject_folder = r"sub\d+"
    subject_name = "sub{:02d}"
