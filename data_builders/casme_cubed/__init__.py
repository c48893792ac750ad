"""CAS(ME)³ (Li et al. 2022), parts A and C: 30 frames a second."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from data_builders.frame_set import (
    AUS,
    OBJECTIVE_CLASS,
    UNITS,
    FrameSet,
    Labelling,
    objective,
    same,
)
from jmer.errors import Needs, UsageError, lacking

EMOTIONS = ("others", "disgust", "surprise", "fear", "anger", "sad", "happy")
THREE = {
    "negative": ("disgust", "fear", "anger", "sad"),
    "positive": ("happy",),
    "surprise": ("surprise",),
}
MOCK_CRIME = {
    "4class": Labelling(same("negative", "positive", "surprise", "others")),
    "3class": Labelling(same("negative", "positive", "surprise")),
    "aus": AUS,
    "units": UNITS,
}
"""Part C, whose sheet has no finer emotions."""


@dataclass(frozen=True)
class CasmeCubed(FrameSet):
    """CAS(ME)³: 860 clips of 94 subjects, 7 emotions (part A); needs a licence."""

    name: ClassVar[str] = "casme_cubed"
    frame_rate: ClassVar[float] = 30
    labellings: ClassVar = {
        "7class": Labelling(same(*EMOTIONS)),
        "4class": Labelling({**THREE, "others": ("others",)}),
        "3class": Labelling(THREE),
        "objective": Labelling(objective(), column=OBJECTIVE_CLASS),
        "aus": AUS,
        "units": UNITS,
    }

    later: ClassVar[Mapping[str, Any]] = {"late_apex": "clamped"}

    classes: Literal["7class", "4class", "3class", "objective", "aus", "units"] = (
        "7class"
    )
    """7class: the emotions. 4class: negative, positive, surprise, others. 3class:
    without others. objective: classes I to VII of action units, as the sheet has them.
    aus: as the action units give them. units: the same, and none, so that every clip of
    the sheet is there."""
    part: Literal["A", "C"] = "A"
    """A: videos to watch. C: a mock crime, 165 clips of 30 subjects; it has
    classes=4class, 3class or aus, source=videos, and no apex (missing_apex=middle)."""
    source: Literal["clips", "videos"] = "clips"
    """clips: Part_A_ME_clip/frame. videos: part_A or part_C, with a folder `color` a
    video."""
    repairs: Literal["none", "hsta"] = "none"
    """hsta: as the code of HSTA has it, apex and offset are no earlier than the onset,
    an apex after the offset goes halfway, no clip goes on for more than 50 frames after
    its onset, and one of a single frame is filled up with it."""
    late_apex: Literal["kept", "clamped"] = "kept"
    """With repairs=hsta, the apex frame of a clip that goes on after 50 frames. kept:
    that of the sheet, as the code of HSTA shows it. clamped: the last of the 50."""
    macro: bool = False
    """Macro-expressions train beside the micro-expressions, and are never tested. They
    are known by objective class alone, and lie in the videos."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part == "C" and self.classes not in MOCK_CRIME:
            raise UsageError(
                f"classes={self.classes} with part=C: must be one of "
                f"{', '.join(MOCK_CRIME)}"
            )
        if self.part == "C" and self.source != "videos":
            raise UsageError(f"source={self.source} with part=C: must be videos")
        if self.macro and (self.classes, self.source) != ("objective", "videos"):
            raise UsageError(
                f"macro=True with classes={self.classes} and source={self.source}: "
                f"macro-expressions need classes=objective and source=videos"
            )

    @property
    def idle(self) -> tuple[str, ...]:
        repaired = self.repairs == "hsta"
        return super().idle if repaired else (*super().idle, "late_apex")

    @property
    def needs(self) -> Needs:
        return {**super().needs, "late_apex": lacking(self, repairs=("hsta",))}

    @property
    def vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        if self.part == "C":
            return {"emotion": tuple(MOCK_CRIME["4class"].classes)}
        return {
            "emotion": EMOTIONS,
            OBJECTIVE_CLASS: sum(objective().values(), ()),
        }

    @property
    def rules(self) -> Labelling:
        return (MOCK_CRIME if self.part == "C" else self.labellings)[self.classes]
