"""TFDS builder of the MEGC 2019 composite."""

import functools
from typing import Any

from data_builders.frame_builder import FrameBuilder
from data_builders.megc2019 import Megc2019
from jmer.data import exclusion
from jmer.data.builder import ClipBuilder
from jmer.data.maker import builder_of
from jmer.data.problems import Problem
from jmer.data.span import Span
from jmer.preprocess.clip_recipe import Shapes


class Builder(ClipBuilder):
    """The clips of SMIC HS, CASME II and SAMM that the challenge lists.

    The manual directory holds the three data sets, each in its own layout.
    """

    VERSION = "1.0.0"
    data: Megc2019

    @functools.cached_property
    def parts(self) -> list[FrameBuilder]:
        self.require_manual_dir()
        return [builder_of(part) for part in self.data.parts]

    def class_names(self) -> tuple[str, ...]:
        return ("negative", "positive", "surprise")

    def tensors(self) -> Shapes:
        return self.data.shapes

    def problems(self) -> list[str]:
        known = [clip for part in self.parts for clip in part.annotation.clips]
        return [
            *exclusion.unknown(self.data.exclude, known),
            *(problem for part in self.parts for problem in part.clip_problems()),
        ]

    def flaws(self) -> list[Problem]:
        return [flaw for part in self.parts for flaw in part.flaws()]

    def notes(self) -> list[str]:
        return [f"{p.data.name}: {note}" for p in self.parts for note in p.notes()]

    def digests(self) -> dict[str, str]:
        return {k: v for part in self.parts for k, v in part.digests().items()}

    def summary(self) -> str:
        return "\n".join(f"{part.data.name}: {part.summary()}" for part in self.parts)

    def spans(self) -> list[Span]:
        return [span for part in self.parts for span in part.spans()]

    def items(self) -> list[tuple[int, Any]]:
        return [(i, x) for i, part in enumerate(self.parts) for x in part.items()]

    def look(self, item: tuple[int, Any]) -> None:
        part, its_own = item
        self.parts[part].look(its_own)

    def example(self, item: tuple[int, Any]) -> dict[str, Any]:
        part, its_own = item
        return self.parts[part].example(its_own)
