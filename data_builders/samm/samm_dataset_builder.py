"""TFDS builder of SAMM."""

from typing import ClassVar

from data_builders.annotation import Correction, by_row
from data_builders.frame_builder import FrameBuilder
from data_builders.samm import Samm


class Builder(FrameBuilder):
    """Frames `006/006_1_2/006_05562.jpg`; grey images become three equal channels.

    Corrections are those of the public loader `meb` (T. Varanka); of action units, by
    data row of the sheet of 159.
    """

    VERSION = "1.0.0"
    data: Samm
    tables = ("SAMM_Micro_FACS_Codes*.xlsx", "SAMM_Micro_FACS_Codes*.csv")
    sheet = "MICRO_ONLY"
    columns: ClassVar = {
        "subject": ("Subject",),
        "clip": ("Filename",),
        "onset": ("Onset Frame", "Onset"),
        "apex": ("Apex Frame", "Apex"),
        "offset": ("Offset Frame", "Offset"),
        "emotion": ("Estimated Emotion", "Emotion"),
        "objective class": ("Objective Classes", "Objective Class"),
        "action_units": ("Action Units", "AU"),
    }
    corrections = (
        Correction("offset", "5739", key=("013", "013_1_9")),
        Correction("apex", "1105", key=("028", "028_4_1")),
        Correction("apex", "4945", key=("032", "032_3_1")),
        Correction("apex", "5130", key=("032", "032_3_2")),
        *by_row(159, "action_units", {15: "R12 + R15", 18: "R12 + R15", 41: "L14"}),
        *by_row(159, "action_units", {64: "R14", 154: "R14A"}),
    )
    roots: ClassVar = {"raw": ("SAMM",)}
    subject_folder = r"\d{1,3}"
    subject_name = "{:03d}"
