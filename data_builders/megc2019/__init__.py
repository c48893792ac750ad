"""The composite of MEGC 2019: SMIC HS, CASME II and SAMM in three classes."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from data_builders.casme2 import Casme2
from data_builders.frame_set import LATER, FaceSet, FrameSet, Numbering
from data_builders.megc2019_flow28 import Megc2019Flow28
from data_builders.samm import Samm
from data_builders.smic import Smic
from jmer.data import exclusion
from jmer.preprocess.clip_recipe import ClipRecipe


@dataclass(frozen=True)
class Megc2019(FaceSet):
    """MEGC 2019 composite from frames: 442 clips, 68 subjects; needs three licences."""

    name: ClassVar[str] = "megc2019"
    subject_sizes: ClassVar[tuple[int, ...]] = Megc2019Flow28.subject_sizes
    later: ClassVar[Mapping[str, Any]] = LATER

    source: Literal["raw", "cropped"] = "cropped"
    """Images of CASME II and SMIC; SAMM comes in one form only."""
    errata: bool = True
    """Apply the published corrections of the annotation; `check` lists them."""
    missing_frames: Literal["refuse", "neighbour"] = "refuse"
    """A frame that is not there is an error, or its nearest neighbour stands in."""
    numbering: Numbering = "checked"
    """Whether files are counted as the sheet counts frames. checked: as the owners have
    it, an error where files and sheet do not tell. same: they are. files-from-0: file 0
    is what the sheet calls frame 1. files-from-1: file 1 is what it calls frame 0."""
    exclude: tuple[str, ...] = ()
    """Leave out these clips, named as errors and `check` name them: sub01/EP02_01f.
    The option can be given several times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "exclude", exclusion.normal(self.exclude, self.name))

    @property
    def parts(self) -> tuple[FrameSet, FrameSet, FrameSet]:
        """The three sets by the same recipe; `manual_dir` holds them all."""
        names = [f.name for f in dataclasses.fields(ClipRecipe)]
        names += ["manual_dir", "data_dir", "errata", "missing_frames", "landmarks"]
        names += ["bits", "exclude", "numbering"]
        shared = {name: getattr(self, name) for name in names}
        return (
            Casme2(classes="megc", source=self.source, **shared),
            Samm(classes="megc", **shared),
            Smic(source=self.source, **shared),
        )
