"""Small trees in the layouts of real data sets, and what a reader must make of them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_builders import datasets
from data_builders.frame_set import ACTION_UNITS, FrameSet
from data_builders.megc2019 import Megc2019
from jmer.data.facs import objective_class, parse_action_units
from jmer.preprocess.tensors import resize
from jmer.synthetic.layouts import LAYOUTS
from jmer.synthetic.layouts.disk_layout import FrameLayout
from jmer.synthetic.layouts.draft import Cells, Draft, Images, Take
from jmer.synthetic.layouts.write import find_layout, synthesize
from jmer.synthetic.spec import SyntheticSpec

# Four negative clips: enough to have one that is in no class of casme2's 5class.
SPEC = SyntheticSpec(subjects=3, clips=8, length=9, size=32, seed=25)
# Their fields differ from set to set.
CONFIGS: dict[str, Any] = {
    kind.name: kind for kind in datasets() if kind.name in LAYOUTS
}
# Layouts of what a set holds beside its usual clips, and how they are read.
CONFIGS["smic_long"] = functools.partial(CONFIGS["smic"], source="long")
CONFIGS["samm_long"] = functools.partial(CONFIGS["samm"], source="long")
CONFIGS["casme_cubed_c"] = functools.partial(
    CONFIGS["casme_cubed"],
    **{"part": "C", "classes": "4class", "source": "videos"},
    missing_apex="middle",
)
FRAME_SETS = sorted(n for n, kind in LAYOUTS.items() if issubclass(kind, FrameLayout))
CLIP_SETS = sorted({*LAYOUTS} - {"fer2013"})  # which is of still images
# Where the rows of a sheet have what.
COLUMNS = {
    "casme": {"onset": 3, "apex": 4, "offset": 6, "emotion": 11},
    "casme2": {"onset": 3, "apex": 4, "offset": 5, "emotion": 8},
    "samm": {"onset": 3, "apex": 4, "offset": 5, "emotion": 9},
    "casme_squared": {"onset": 2, "apex": 3, "offset": 4, "emotion": 1},
    "casme_cubed": {"onset": 2, "apex": 3, "offset": 4, "emotion": 7},
    "mmew": {"onset": 2, "apex": 3, "offset": 4, "emotion": 6},
    "fourdme": {"subject": 1, "onset": 4, "apex": 5, "offset": 6, "emotion": 3},
    "dfme": {"onset": 2, "apex": 3, "offset": 4, "emotion": 5},
    "smic_long": {"onset": 3, "offset": 4, "emotion": 15},
    "samm_long": {"onset": 3, "apex": 4, "offset": 5},
    "casme_cubed_c": {"onset": 2, "offset": 3, "emotion": 5},
}
RECIPE = {"size": 32, "frames": 4, "resample": "uniform"}


def read(path: Path) -> np.ndarray:
    """What OpenCV decodes of an image file, in RGB."""
    # Given a name that is no UTF-8, OpenCV ends the program.
    content = np.frombuffer(path.read_bytes(), np.uint8)
    pixels: Any = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(pixels[..., ::-1])


@dataclass
class Seen:
    """One clip of a tree through the eyes of a configuration."""

    take: Take
    label: str
    """Empty if it is in no class."""
    source: str
    root: Path

    def __post_init__(self) -> None:
        self.key, self.cells = self.take.key, self.take.cells
        self.onset, self.offset = self.take.onset, self.take.offset
        halfway = (self.onset + self.offset) // 2
        self.apex = halfway if self.take.apex is None else self.take.apex
        self.images = self.take.images[self.source]
        self.folder = self.root / self.images.folder

    def path(self, number: int) -> Path:
        return self.images.path(self.root, number)

    @property
    def wanted(self) -> list[int]:
        """The frames from onset to offset; the nearest one where one is missing."""
        known = np.array(self.images.numbers)
        span = range(self.onset, self.offset + 1)
        return [int(known[np.abs(known - n).argmin()]) for n in span]

    @property
    def published(self) -> np.ndarray:
        return np.stack([read(self.path(n)) for n in self.wanted])

    @property
    def shown(self) -> np.ndarray:
        """The frames as squares of 32."""
        return resize(self.published, 32)

    @property
    def interval(self) -> tuple[int, int, int]:
        return 0, self.apex - self.onset, self.offset - self.onset


@dataclass
class Tree:
    """A data set on disk, and its configuration."""

    config: Any
    """A `DataConfig` with the fields of its set."""
    root: Path
    draft: Draft
    layout: str = ""
    """Where it is not called as what reads it."""
    takes: list[Seen] = field(init=False)

    def __post_init__(self) -> None:
        whole = isinstance(self.config, Megc2019)
        configs = self.config.parts if whole else (self.config,)
        self.takes = []
        for config in configs:
            for take in self.draft.takes:
                mine = take.dataset == config.name
                if mine and take.part in ("", getattr(config, "part", "")):
                    label = label_of(config, take)
                    seen = Seen(take, label, config.source, self.root)
                    self.takes.append(seen)

    @property
    def name(self) -> str:
        return self.layout or self.config.name

    @property
    def table(self) -> Path:
        return self.root / self.draft.books[0].path

    @property
    def rows(self) -> list[Cells]:
        """Of the annotation, with all that is above it."""
        first = self.draft.takes[0].cells
        sheets = self.draft.books[0].sheets.values()
        return next(rows for rows in sheets if any(row is first for row in rows))

    @property
    def top(self) -> int:
        """How many rows there are above the first clip."""
        first = self.draft.takes[0].cells
        return next(i for i, row in enumerate(self.rows) if row is first)

    def write_sheet(self) -> None:
        self.draft.write_sheets(self.root)

    @property
    def loaded(self) -> list[Seen]:
        """Those that take part, in the order in which they are loaded."""
        return sorted(
            (t for t in self.takes if t.label), key=lambda t: (t.take.dataset, t.key)
        )


def taken(manifest: Mapping[str, Any]) -> list[Take]:
    """The clips of a manifest, without their rows of a sheet."""
    clips = []
    for record in manifest["clips"]:
        images = {name: Images(**entry) for name, entry in record["images"].items()}
        clips.append(Take(**{**record, "images": images, "cells": []}))
    return clips


def label_of(config: FrameSet, take: Take) -> str:
    rules = config.rules
    if take.key in rules.excluded:
        return ""
    if rules.column == ACTION_UNITS:
        none = "none" if "none" in rules.classes else ""
        return objective_class(parse_action_units(take.action_units)) or none
    word = take.labels.get(rules.column, "")
    return next((name for name, words in rules.classes.items() if word in words), "")


def write(name: str, folder: Path, *, quirks: bool = False, **fields: Any) -> Tree:
    """A tree of eight clips of three subjects; frames before and after each, too."""
    root = folder / "published"
    draft = synthesize(find_layout(name, quirks=quirks), SPEC, root)
    (root / "notes").mkdir()
    places = {"manual_dir": root, "data_dir": folder / "prepared"}
    return Tree(CONFIGS[name](**places, **{**RECIPE, **fields}), root, draft, name)
