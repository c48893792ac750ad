"""The builder behind all sets of annotated frames; a data set adds names and places."""

import collections
import functools
from collections.abc import Sequence
from typing import Any

from data_builders import alignment, frame_pixels, people
from data_builders.annotation import Clip, Correction, SheetRow, correct, out_of_order
from data_builders.depth import Depth, depth
from data_builders.frame_digests import with_clips
from data_builders.frame_places import is_selected
from data_builders.frame_sheet import FrameSheet
from data_builders.survey import Annotation, Survey, annotate, survey
from jmer.data import exclusion
from jmer.data.builder import Examples
from jmer.data.problems import Problem
from jmer.data.span import Session, Span
from jmer.data.summary import population
from jmer.preprocess.align import Square
from jmer.preprocess.clip_recipe import Shapes

NO_CLIPS = "lines of the sheet that are no recordings"


class FrameBuilder(FrameSheet):
    """Reads a sheet and folders of frames. A subclass says how they are called: see
    `FrameNames`."""

    def class_names(self) -> tuple[str, ...]:
        return self.data.class_names

    def tensors(self) -> Shapes:
        return self.data.shapes

    @functools.cached_property
    def annotation(self) -> Annotation:
        """What the sheet says; needs no frames."""
        rows, changes = self.rows(), list[str]()
        if self.data.errata:
            rows, changes = correct(rows, self.corrections_of(rows))
        made = annotate(self, rows, changes)
        if self.notes_below:
            made.left_out[NO_CLIPS] += self.notes_below
        return made

    sorted_anew = ""
    """What shows that the sheet is not in the order of the published one."""

    def corrections_of(self, rows: Sequence[SheetRow]) -> Sequence[Correction]:
        """The corrections that may be applied to these rows."""
        by_row = [c for c in self.corrections if c.rows == len(rows)]
        if by_row:
            self.sorted_anew = out_of_order(rows, self.known_rows)
        return [
            c for c in self.corrections if c.key is not None or not self.sorted_anew
        ]

    @functools.cached_property
    def survey(self) -> Survey:
        """The clips, all problems, and how many clips were left out for what."""
        # The root comes first: without it, every clip would be a problem of its own.
        return survey(self, self.annotation, self.root)

    @functools.cached_property
    def squares(self) -> tuple[alignment.Squares, list[Problem]]:
        """What is cut from the frames of each clip, and all problems with that."""
        if self.data.align == "none":
            return {}, []
        return alignment.squares(self.data, self.survey.clips, self.depth.bits)

    @functools.cached_property
    def depth(self) -> Depth:
        """How many bits of their frames count."""
        return depth(self.data, self.survey.clips)

    def problems(self) -> list[str]:
        known = self.annotation.clips
        return [*exclusion.unknown(self.data.exclude, known), *self.clip_problems()]

    def clip_problems(self) -> list[str]:
        """All but names of clips to exclude that none has."""
        found = [*self.survey.problems, *self.squares[1]]
        return [*found, *([self.depth.problem] if self.depth.problem else [])]

    def notes(self) -> list[str]:
        still = [c.row.title for c in self.survey.clips if self._is_still(c)]
        said = [note for note in (self.survey.note, self.depth.note) if note]
        said += [self.sorted_anew] if self.sorted_anew else []
        said += self.second_opinions()
        said += self._without_rest()
        said += people.doubts(self.survey.clips)
        if still:
            of = self.data.special if self.data.modality == "clip" else "apex-flow"
            said.append(
                f"{len(still)} of {len(self.survey.clips)} clips have no motion from "
                f"onset to apex, since the apex is the onset, and {of} shows nothing "
                f"of them: {', '.join(still[:6])}{', …' if len(still) > 6 else ''}. "
                f"Correct their rows or leave them out, unless that is wanted."
            )
        return said

    def _without_rest(self) -> list[str]:
        """Which clips have no frame outside their expression, where such were asked
        for."""
        clips = self.survey.clips
        short = [c.row.title for c in clips if len(c.frames) == c.offset - c.onset + 1]
        if not self.data.context or not short or self.data.resample == "apex-window":
            return []
        whole = [name for name in self.root_names if not is_selected(name)]
        hint = f", or lay {whole[0]} beside it" if is_selected(self.root.name) else ""
        return [
            f"{len(short)} of {len(clips)} clips in {self.root} have no frame before "
            f"the onset or after the offset, and nothing can be spotted there: "
            f"{', '.join(short[:6])}{', …' if len(short) > 6 else ''}. Leave them out "
            f"with --exclude{hint}."
        ]

    def _is_still(self, clip: Clip) -> bool:
        """Whether what is stored compares the onset with itself."""
        shown = self.data.special in ("sf", "of", "dense")
        return clip.apex == clip.onset and (self.data.modality == "apex-flow" or shown)

    def summary(self) -> str:
        clips, left_out = self.survey.clips, self.survey.left_out
        changes = self.annotation.changes
        counts = collections.Counter(clip.label for clip in clips)
        per_class = {name: counts[i] for i, name in enumerate(self.class_names())}
        subjects = len({clip.row.subject for clip in clips})
        lines = [population(len(clips), subjects, per_class)]
        if extra := sum(clip.row.train_only for clip in clips):
            lines.append(f"  of these, for training alone: {extra}")
        lines += [f"  left out: {n} {why}" for why, n in sorted(left_out.items())]
        lines += [f"  published correction: {change}" for change in changes]
        return "\n".join(lines)

    def digests(self) -> dict[str, str]:
        base, clips = self.require_manual_dir(), self.survey.clips
        return with_clips(self.sheet_digests(), clips, base)

    def _split_generators(self, dl_manager: object) -> dict[str, Examples]:
        self.info.metadata["errata"] = self.annotation.changes
        return super()._split_generators(dl_manager)

    def spans(self) -> list[Span]:
        return [self._span(clip) for clip in self.survey.clips]

    def _span(self, clip: Clip) -> Span:
        first = clip.onset - clip.before
        last = first + len(clip.frames) - 1
        video = f"{self.data.name}/{self.video(clip)}"
        return Span(
            clip.row.dataset or self.data.name, *clip.row.key, video, first, last
        )

    def sessions(self) -> list[Session]:
        return [
            Session(clip.row.dataset or self.data.name, *clip.row.key, clip.row.session)
            for clip in self.survey.clips
            if clip.row.session
        ]

    def video(self, clip: Clip) -> str:
        """The recording whose frames a clip's numbers count; by default its folder."""
        return str(clip.folder.relative_to(self.require_manual_dir()))

    def items(self) -> list[tuple[Clip, Square | None]]:
        found = self.squares[0]
        aligned = self.data.align != "none"
        return [
            (clip, found.get(clip.row.key))
            for clip in self.survey.clips
            if clip.row.key in found or not aligned
        ]

    def flaws(self) -> list[Problem]:
        # Clips that are named already are not among the items.
        return [found for found in self._read(self.look) if isinstance(found, Problem)]

    def look(self, item: tuple[Clip, Square | None]) -> None:
        frame_pixels.frames(self.data, self.depth.bits, *item)

    def example(self, item: tuple[Clip, Square | None]) -> dict[str, Any]:
        clip, square = item
        arrays, (onset, apex, offset) = frame_pixels.inputs(
            self.data, self.depth.bits, clip, square
        )
        inputs: dict[str, Any] = {**arrays}
        if self.some_train_only:
            inputs["train_only"] = clip.row.train_only
        return {
            **inputs,
            "label": clip.label,
            "subject": clip.row.subject,
            "dataset": clip.row.dataset or self.data.name,
            "clip_id": clip.row.clip,
            "onset": onset,
            "apex": apex,
            "offset": offset,
            "action_units": clip.row.action_units,
            "frame_rate": clip.row.frame_rate or self.data.frame_rate,
        }
