"""CASME II (Yan et al. 2014): 26 subjects, 200 frames a second."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from data_builders.frame_set import (
    AUS,
    OBJECTIVE_CLASS,
    UNITS,
    FrameSet,
    Labelling,
    megc,
    objective,
    same,
)

EMOTIONS = (
    *("happiness", "disgust", "surprise", "repression", "others"),
    *("sadness", "fear"),
)
# Absent from the official list; the reasons are inferred from the sheets.
EXCLUDED = {
    ("sub04", "EP12_01f"): "not in the MEGC list (no apex)",
    ("sub05", "EP09_05f"): "not in the MEGC list (apex is the onset)",
    ("sub24", "EP02_07"): "not in the MEGC list (added later)",
}


@dataclass(frozen=True)
class Casme2(FrameSet):
    """CASME II: 246 or 247 clips of 26 subjects in 5 classes; needs a licence."""

    name: ClassVar[str] = "casme2"
    frame_rate: ClassVar[float] = 200
    labellings: ClassVar = {
        "5class": Labelling(
            same("disgust", "happiness", "repression", "surprise", "others")
        ),
        "meranet": Labelling(same("disgust", "happiness", "surprise")),
        "megc": Labelling(megc(("disgust", "repression")), excluded=EXCLUDED),
        "objective": Labelling(objective(), column=OBJECTIVE_CLASS),
        "aus": AUS,
        "units": UNITS,
    }
    vocabulary: ClassVar = {
        "emotion": EMOTIONS,
        OBJECTIVE_CLASS: (*sum(objective().values(), ()), "none"),
    }

    classes: Literal["5class", "meranet", "megc", "objective", "aus", "units"] = (
        "5class"
    )
    """5class: disgust, happiness, repression, surprise, others; 247 clips if the sheet
    has sub24/EP02_07, else 246. meranet: disgust, happiness, surprise (63 or, with that
    clip, 64, 32 and 25 clips; its paper prints 63, 32 and 28, and no sheet has 28 of
    surprise). megc: negative, positive, surprise as in MEGC 2019, 145 clips. objective:
    classes I to VII as in CASME2-ObjectiveClasses.xlsx. aus: as the action units give
    them. units: the same, and none, so that every clip of the sheet is there."""
    source: Literal["raw", "cropped"] = "cropped"
    """raw: CASME2_RAW_selected, or whole recordings (CASME2-RAW), which come first with
    a context. cropped: faces as the owners cut them out."""
