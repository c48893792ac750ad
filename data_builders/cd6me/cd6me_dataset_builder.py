"""TFDS builder of the CD6ME composite."""

import functools
from typing import Any

from data_builders.cd6me import CLASSES, SETS, Cd6me
from data_builders.composite import CompositeBuilder
from data_builders.frame_builder import FrameBuilder
from jmer.data.asking import data_option
from jmer.data.problems import Unusable
from jmer.data.span import Session, Span


class Builder(CompositeBuilder):
    """All clips of CASME, CASME II, SAMM, 4DME, MMEW and CAS(ME)³ part A.

    The manual directory holds a folder for each, in its own layout. Subjects of
    different sets are called alike (`sub01`), so that the name of the set goes before
    theirs: `casme2-sub01`. Whether anybody is in two of them is not known.
    """

    VERSION = "1.0.0"
    data: Cd6me

    @functools.cached_property
    def parts(self) -> list[FrameBuilder]:
        """Raises: JmerError naming the folders that are not there."""
        base = self.require_manual_dir()
        places = [self.data.folder_of(kind) for kind in SETS]
        if lacking := [place.name for place in places if not place.is_dir()]:
            there = [place.name for place in places if place.is_dir()]
            raise Unusable(
                f"{base} has no folder {', '.join(lacking)}: put each data set into a "
                f"folder of that name there, as its owners distribute it"
                f"{' (there are: ' + ', '.join(there) + ')' if there else ''}, or give "
                f"the folder that has them with {data_option('manual_dir')}.",
                "data sets that are not there",
            )
        return super().parts

    def class_names(self) -> tuple[str, ...]:
        return CLASSES

    def notes(self) -> list[str]:
        said = super().notes()
        for part, (published, _) in zip(self.parts, SETS.values(), strict=True):
            if (found := len(part.survey.clips)) != published:
                said.append(
                    f"{part.data.name}: {found} clips, where CD6ME has {published}, so "
                    f"that figures do not compare with published ones."
                )
        return said

    def digests(self) -> dict[str, str]:
        return {
            f"{part.data.name}/{file}": digest
            for part in self.parts
            for file, digest in part.digests().items()
        }

    def spans(self) -> list[Span]:
        return [
            span._replace(subject=_named(span.dataset, span.subject))
            for span in super().spans()
        ]

    def sessions(self) -> list[Session]:
        return [
            one._replace(subject=_named(one.dataset, one.subject))
            for one in super().sessions()
        ]

    def example(self, item: tuple[int, Any]) -> dict[str, Any]:
        made = super().example(item)
        return {**made, "subject": _named(made["dataset"], made["subject"])}


def _named(dataset: str, subject: str) -> str:
    return f"{dataset}-{subject}"
