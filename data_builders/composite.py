"""The builder behind sets that several others make up."""

import functools
from typing import Any

from data_builders.frame_builder import FrameBuilder
from jmer.data import exclusion
from jmer.data.builder import ClipBuilder
from jmer.data.maker import builder_of
from jmer.data.problems import Problem
from jmer.data.span import Session, Span
from jmer.preprocess.clip_recipe import Shapes


class CompositeBuilder(ClipBuilder):
    """Asks the builders of `data.parts`, in their order, each of which has its own
    clips, problems and sources."""

    data: Any
    """A configuration that has `parts` and `shapes`, and what to `exclude`."""

    @functools.cached_property
    def parts(self) -> list[FrameBuilder]:
        """Raises: JmerError if the manual directory is not there."""
        self.require_manual_dir()
        return [builder_of(part) for part in self.data.parts]

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

    def sessions(self) -> list[Session]:
        return [session for part in self.parts for session in part.sessions()]

    def items(self) -> list[tuple[int, Any]]:
        return [(i, x) for i, part in enumerate(self.parts) for x in part.items()]

    def look(self, item: tuple[int, Any]) -> None:
        part, its_own = item
        self.parts[part].look(its_own)

    def example(self, item: tuple[int, Any]) -> dict[str, Any]:
        part, its_own = item
        return self.parts[part].example(its_own)
