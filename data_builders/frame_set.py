"""Fields of every set of annotated frames on disk. Imports no TFDS and no OpenCV."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from jmer.data import exclusion
from jmer.data.config import DataConfig
from jmer.data.facs import OBJECTIVE
from jmer.errors import UsageError
from jmer.preprocess.clip_recipe import ClipRecipe


@dataclass(frozen=True)
class Labelling:
    """Which clips of a set take part, and what they are called."""

    classes: Mapping[str, tuple[str, ...]]
    """Each class, in the order of labels, and the words of the sheet that mean it."""
    column: str = "emotion"
    """Where in the sheet those words are."""
    excluded: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Clips (subject, clip) that its own published list lacks, and why."""


def same(*names: str) -> dict[str, tuple[str, ...]]:
    """Classes that are called what the sheet calls them."""
    return {name: (name,) for name in names}


def objective() -> dict[str, tuple[str, ...]]:
    """Objective classes I to VII, which sheets call so, or 1 to 7."""
    return {name: (name.lower(), f"{i}") for i, name in enumerate(OBJECTIVE, start=1)}


OBJECTIVE_CLASS = "objective class"
ACTION_UNITS = "action units"
"""Stands for a column of labels: the objective class of a row's action units."""
AUS = Labelling(objective(), column=ACTION_UNITS)
NO_UNITS = "none"
UNITS = Labelling({**objective(), NO_UNITS: ("",)}, column=ACTION_UNITS)
"""All clips of a sheet, also those without action units: for trainings on the units
themselves (`--extract.action-units`), which need no class."""


def megc(negative: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Three classes as in the MEGC 2019 challenge."""
    return {"negative": negative, "positive": ("happiness",), "surprise": ("surprise",)}


@dataclass(frozen=True)
class FaceSet(ClipRecipe, DataConfig):
    """Fields of a set whose frames show a face somewhere."""

    files: ClassVar[tuple[str, ...]] = (*ClipRecipe.files, "landmarks")
    later: ClassVar[Mapping[str, Any]] = {"bits": "stated"}

    landmarks: Path | None = None
    """Table of five points of the face in each onset frame, in pixels, which are used
    instead of a detector (columns subject, clip, left_eye_x, left_eye_y, right_eye_x,
    ..., nose_x, ..., mouth_left_x, ..., mouth_right_y; left as seen in the image), or
    of 68 (columns subject, clip, x_0, y_0, ..., x_67, y_67; in the usual order, from
    the jaw to the lips), to all of which a face is then fitted."""
    bits: Literal["stated", "10", "12", "14", "16"] = "stated"
    """How many bits count of frames that store 16 a value, as cameras of 12 bits write
    them. stated: as the files say; where they do not, and no value needs more than 14,
    that is an error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.landmarks is not None and self.align == "none":
            raise UsageError(
                f"landmarks={self.landmarks}: goes with align=crop or align=landmarks, "
                f"not with align=none"
            )

    @property
    def stored_as(self) -> str:
        return "uint8" if self.modality == "clip" else "float16"

    @property
    def recipe(self) -> dict[str, Any]:
        """Whether there are landmarks, not where."""
        fields = super().recipe
        if self.align != "none":
            fields["points"] = "detected" if self.landmarks is None else "given"
        return fields


Numbering = Literal["checked", "same", "files-from-0", "files-from-1"]
LATER: Mapping[str, Any] = {"exclude": (), "numbering": "checked"}
"""`later` of sets of clips that can be left out, in files that can be counted."""


@dataclass(frozen=True)
class FrameSet(FaceSet):
    """A set of image folders and an annotation sheet, as its owners distribute it."""

    formerly: ClassVar[Mapping[str, str]] = {"classes": "protocol"}
    later: ClassVar[Mapping[str, Any]] = LATER
    labellings: ClassVar[Mapping[str, Labelling]]
    """By what `classes` calls them."""

    classes: str = ""
    """Which classes there are."""
    source: str = "raw"
    """Which of the distributed images to read."""
    table: str = ""
    """File name of the annotation sheet, where several are found; of a set that reads
    two sheets (such as SAMM's long videos) either one, or both with a comma between."""
    errata: bool = True
    """Apply the published corrections of the annotation; `check` lists them."""
    missing_apex: Literal["refuse", "middle"] = "refuse"
    """A clip without apex frame is an error, or peaks halfway."""
    missing_frames: Literal["refuse", "neighbour"] = "refuse"
    """A frame that is not there is an error, or its nearest neighbour stands in."""
    numbering: Numbering = "checked"
    """Whether files are counted as the sheet counts frames. checked: as the owners have
    it, an error where files and sheet do not tell. same: they are. files-from-0: file 0
    is what the sheet calls frame 1. files-from-1: file 1 is what it calls frame 0."""
    min_frames: int = 1
    """Leave out clips with fewer frames from onset to offset."""
    exclude: tuple[str, ...] = ()
    """Leave out these clips, named as errors and `check` name them: sub01/EP02_01f.
    The option can be given several times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "exclude", exclusion.normal(self.exclude, self.name))
        if self.min_frames < 1:
            raise UsageError(f"min_frames={self.min_frames}: must be at least 1")

    @property
    def vocabulary(self) -> Mapping[str, tuple[str, ...]]:
        """Every word that a column of labels may hold, in lower case."""
        raise NotImplementedError

    @property
    def more_words(self) -> str:
        """How a word may become one of those that are known, after a comma."""
        return ""

    def without_class(self, word: str) -> str:
        """Why rows with a word that is known are left out."""
        return f"{word} (no class of {self.classes})"

    @property
    def frame_rate(self) -> float:
        """Frames a second of its recordings."""
        raise NotImplementedError

    @property
    def rules(self) -> Labelling:
        """The labelling that `classes` names."""
        return self.labellings[self.classes]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their labels."""
        return tuple(self.rules.classes)
