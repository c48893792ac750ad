"""CD6ME (Varanka et al. 2023): six sets labelled with action units, as one."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from data_builders.casme import Casme
from data_builders.casme2 import Casme2
from data_builders.casme_cubed import CasmeCubed
from data_builders.fourdme import Fourdme
from data_builders.frame_set import LATER, NO_UNITS, FaceSet, FrameSet, Numbering
from data_builders.mmew import Mmew
from data_builders.samm import Samm
from jmer.data import exclusion
from jmer.data.facs import OBJECTIVE
from jmer.preprocess.clip_recipe import ClipRecipe

CLASSES = (*OBJECTIVE, NO_UNITS)
SETS: Mapping[type[FrameSet], tuple[int, str]] = {
    Casme: (189, "CASME"),
    Casme2: (256, "CASME2"),
    Samm: (159, "SAMM"),
    Fourdme: (267, "4DME"),
    Mmew: (300, "MMEW"),
    CasmeCubed: (860, "CASME3"),
}
"""The six in their order: how many clips each publishes, and what its folder is called,
if not by the name that jmer has for it."""


@dataclass(frozen=True)
class Cd6me(FaceSet):
    """CD6ME: 2,031 clips of six sets, with action units; needs six licences."""

    name: ClassVar[str] = "cd6me"
    later: ClassVar[Mapping[str, Any]] = LATER

    source: Literal["raw", "cropped"] = "cropped"
    """Images of CASME and CASME II; the others come in one form, or are read in one."""
    errata: bool = True
    """Apply the published corrections of the annotations; `check` lists them."""
    missing_apex: Literal["refuse", "middle"] = "refuse"
    """A clip without apex frame is an error, or peaks halfway."""
    missing_frames: Literal["refuse", "neighbour"] = "refuse"
    """A frame that is not there is an error, or its nearest neighbour stands in."""
    numbering: Numbering = "checked"
    """Whether files are counted as the sheet counts frames. checked: as the owners have
    it, an error where files and sheet do not tell. same: they are. files-from-0: file 0
    is what the sheet calls frame 1. files-from-1: file 1 is what it calls frame 0."""
    exclude: tuple[str, ...] = ()
    """Leave out these clips, named as errors and `check` name them: sub01/EP02_01f, in
    whichever sets they are. The option can be given several times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "exclude", exclusion.normal(self.exclude, self.name))

    @property
    def parts(self) -> tuple[FrameSet, ...]:
        """The six sets by the same recipe, in their order, all clips of each."""
        names = [f.name for f in dataclasses.fields(ClipRecipe)]
        names += ["data_dir", "errata", "missing_apex", "missing_frames", "landmarks"]
        names += ["bits", "exclude", "numbering"]
        shared = {name: getattr(self, name) for name in names}
        made = []
        for kind in SETS:
            source = {"source": self.source} if kind in (Casme, Casme2) else {}
            folder = None if self.manual_dir is None else self.folder_of(kind)
            own: Any = {"manual_dir": folder, "classes": "units", **source}
            made.append(kind(**own, **shared))
        return tuple(made)

    def folder_of(self, kind: type[FrameSet]) -> Path:
        """The folder of a set below `manual_dir`, by either of its names in whatever
        case; where it would be, if it is not there."""
        assert self.manual_dir is not None
        wanted = {kind.name, SETS[kind][1].lower()}
        if self.manual_dir.is_dir():
            for folder in sorted(self.manual_dir.iterdir()):
                if folder.name.lower() in wanted and folder.is_dir():
                    return folder
        return self.manual_dir / SETS[kind][1]
