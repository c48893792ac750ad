"""The builder behind all sets of annotated frames; a data set adds names and places."""

import collections
import functools
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_builders import alignment, frame_files, places
from data_builders.annotation import Clip, Correction, SheetRow, correct, subject_number
from data_builders.depth import Depth, depth
from data_builders.disk import DEPTH, Disk, one_of
from data_builders.frame_set import ACTION_UNITS, OBJECTIVE_CLASS, FrameSet
from data_builders.sheet_files import choices, find_table, sheets_in
from data_builders.sheets import Columns, Line, read_table
from data_builders.survey import Annotation, Survey, annotate, survey
from jmer.data import exclusion
from jmer.data.asking import other_choices
from jmer.data.builder import ClipBuilder, Examples
from jmer.data.problems import Problem, problem_of
from jmer.data.span import Span
from jmer.errors import JmerError
from jmer.preprocess.align import Square
from jmer.preprocess.clip_recipe import Shapes
from jmer.preprocess.tensors import Interval, features, resize

NO_CLIPS = "lines of the sheet that are no recordings"


class FrameBuilder(ClipBuilder):
    """Reads a sheet and folders of frames. A subclass says how they are called."""

    data: FrameSet

    positions: ClassVar[tuple[str, ...]] = ()
    """The columns in order, where the sheet has no header."""

    # A subclass sets these as attributes, or as properties that depend on its fields.

    @property
    def tables(self) -> tuple[str, ...]:
        """Patterns of the sheet's file name."""
        return ()

    @property
    def second_tables(self) -> tuple[str, ...]:
        """Patterns of another sheet that is read beside it; empty if there is none."""
        return ()

    @property
    def sheet(self) -> str:
        """The sheet in a workbook of several."""
        return ""

    @property
    def columns(self) -> Columns:
        """Names of the columns: subject, clip, onset, apex, offset, those of labels,
        and action_units."""
        return {}

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Published corrections of the annotation."""
        return ()

    @property
    def roots(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the folder that holds the subjects, for each `source`."""
        return {}

    @property
    def subject_folder(self) -> str:
        """Regular expression of the name of a subject's folder."""
        return ""

    @property
    def subject_name(self) -> str:
        """Format of a subject's name in published lists, from its number."""
        return ""

    @property
    def example_folder(self) -> str:
        """The name of a subject's folder, as an example."""
        return self.subject_name.format(1)

    def row(self, line: Line) -> SheetRow:
        """One line of the sheet, with subject and clip named as in published lists."""
        values = line.values
        number = subject_number(values["subject"])
        return SheetRow(
            where=line.where,
            number=line.number,
            subject="" if number is None else self.subject_name.format(number),
            clip=values["clip"],
            labels={c: values.get(c, "").lower() for c in self.data.vocabulary},
            onset=values["onset"],
            apex=values.get("apex", ""),
            offset=values["offset"],
            action_units=values.get("action_units", ""),
        )

    def left_out(self, row: SheetRow) -> str:
        """Why a row is of no concern to any labelling; empty if it is.

        Raises: JmerError if the row does not tell.
        """
        del row
        return ""

    def moments(self, onset: int, apex: int, offset: int) -> Interval:
        """Onset, apex and offset after repairs that a paper's code makes."""
        return onset, apex, offset

    def clip_folder(self, row: SheetRow) -> Path | None:
        """The folder of a clip's frames, None if there is none."""
        home = self.subject_home(row)
        return home and self.disk.child(home, row.folder or row.clip)

    def subject_home(self, row: SheetRow) -> Path | None:
        """The folder of a row's subject. Raises: JmerError if there are two."""
        number = subject_number(row.subject)
        return one_of(self.subject_folders.get(number, ()))

    def numbered(self, folder: Path) -> dict[int, Path]:
        """The images of a folder by the numbers that the sheet knows them by."""
        return self.disk.numbered(folder)

    def class_names(self) -> tuple[str, ...]:
        return self.data.class_names

    def tensors(self) -> Shapes:
        return self.data.shapes

    def rows(self) -> list[SheetRow]:
        """Raises: JmerError if the sheet is missing, unreadable or lacks a column."""
        return [self.row(line) for line in self.lines()]

    @property
    def optional(self) -> set[str]:
        """The columns that a sheet may lack."""
        column = self.data.rules.column
        needed = "action_units" if column == ACTION_UNITS else column
        return {"action_units", OBJECTIVE_CLASS} - {needed}

    def lines(self) -> list[Line]:
        """The lines of the sheet, as `read_table` has them, but for sums and notes
        below the clips: they name no clip and no frame."""
        lines = read_table(
            self.table,
            self.columns,
            optional=self.optional,
            sheet=self.sheet,
            positions=self.positions,
            numbers=("frame_rate",),
        )
        clips = [i for i, line in enumerate(lines) if _of_a_clip(line)]
        # A sheet without any clip is shown with all its mistakes.
        last = clips[-1] + 1 if clips else len(lines)
        self.notes_below = len(lines) - last
        return lines[:last]

    notes_below = 0
    """How many lines below the clips `lines` left out."""

    @functools.cached_property
    def disk(self) -> Disk:
        """Each builder has its own: the disk may have changed since another looked."""
        return Disk()

    @functools.cached_property
    def table(self) -> Path:
        """The annotation sheet. Raises: JmerError if there is none, or several."""
        return self._table(0)

    @functools.cached_property
    def second_table(self) -> Path:
        """The sheet of `second_tables`. Raises: JmerError as `table`."""
        return self._table(1)

    def _table(self, role: int) -> Path:
        base = self.require_manual_dir()
        sheets = [self.tables, *([self.second_tables] if self.second_tables else [])]
        chosen = choices(self.data.table, sheets)
        # The other sheet stays the one that was found.
        before = f"{self.table.name}," if role else ""
        try:
            return find_table(base, sheets[role], chosen[role], before)
        except JmerError as error:
            if sheets_in(base, sheets[role], chosen[role]):
                raise
            raise JmerError(f"{error}{self._elsewhere()}") from error

    @functools.cached_property
    def root(self) -> Path:
        """The folder of the subjects' folders. Raises: JmerError if there is none."""
        base, names = self.require_manual_dir(), self.roots[self.data.source]
        found = self.disk.find_root(base, names, self.holds_subjects)
        if found is None:
            raise JmerError(
                f"no folder {' or '.join(names)} with subjects in {base}: put the "
                f"{self.data.source} images there"
                f"{other_choices(self.data, 'source')}."
                f"{self._elsewhere() or self._misnamed(names)}"
            )
        return found

    def _elsewhere(self) -> str:
        """Where sheet and images are, if near; nothing if they are not."""
        names = self.roots[self.data.source]

        def holds(folder: Path) -> bool:
            if self.tables and not sheets_in(folder, self.tables, depth=2):
                return False
            deep = DEPTH if self.tables else 1
            return bool(
                Disk().find_root(folder, names, self.holds_subjects, depth=deep)
            )

        return places.hint(self.require_manual_dir(), holds)

    def _misnamed(self, names: tuple[str, ...]) -> str:
        """How the folders are called that should be those of subjects, and the rule."""
        base = self.require_manual_dir()
        called = self.disk.find_root(base, names, lambda folder: folder != base)
        there = places.some(called or base)
        if not there:
            return ""
        return (
            f" In {called or base} are {there}, but subjects are called as "
            f"{self.example_folder} ({self.subject_folder})."
        )

    def odd_names(self, row: SheetRow) -> str:
        """Of a clip whose subject has no folder, those that are not called as one."""
        if subject_number(row.subject) in self.subject_folders:
            return ""
        names = [p.name for p in self.disk.folders(self.root)]
        odd = [name for name in names if not self._is_subject(name)]
        if not odd:
            return ""
        return (
            f" (where {', '.join(odd[:3])}{', …' if len(odd) > 3 else ''} are not "
            f"called as subjects, such as {self.example_folder})"
        )

    def holds_subjects(self, folder: Path) -> bool:
        """Whether folders of subjects lie in it."""
        return any(self._is_subject(p.name) for p in self.disk.folders(folder))

    def _is_subject(self, name: str) -> bool:
        """Whether a folder is called as those of subjects are."""
        return re.fullmatch(self.subject_folder, name, re.IGNORECASE) is not None

    @functools.cached_property
    def subject_folders(self) -> dict[int | None, list[Path]]:
        """The folders of each subject, by number; more than one is a mistake."""
        found = collections.defaultdict(list)
        for path in self.disk.folders(self.root):
            if self._is_subject(path.name):
                found[subject_number(path.name)].append(path)
        return dict(found)

    @functools.cached_property
    def annotation(self) -> Annotation:
        """What the sheet says; needs no frames."""
        rows, changes = self.rows(), list[str]()
        if self.data.errata:
            rows, changes = correct(rows, self.corrections)
        made = annotate(self, rows, changes)
        if self.notes_below:
            made.left_out[NO_CLIPS] += self.notes_below
        return made

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
        said = [self.depth.note] if self.depth.note else []
        if still:
            of = self.data.special if self.data.modality == "clip" else "apex-flow"
            said.append(
                f"{len(still)} of {len(self.survey.clips)} clips have no motion from "
                f"onset to apex, since the apex is the onset, and {of} shows nothing "
                f"of them: {', '.join(still[:6])}{', …' if len(still) > 6 else ''}. "
                f"Correct their rows or leave them out, unless that is wanted."
            )
        return said

    def _is_still(self, clip: Clip) -> bool:
        """Whether what is stored compares the onset with itself."""
        shown = self.data.special in ("sf", "of", "dense")
        return clip.apex == clip.onset and (self.data.modality == "apex-flow" or shown)

    def summary(self) -> str:
        clips, _, left_out = self.survey
        changes = self.annotation.changes
        counts = collections.Counter(clip.label for clip in clips)
        per_class = ", ".join(
            f"{counts[i]} {name}" for i, name in enumerate(self.class_names())
        )
        subjects = len({clip.row.subject for clip in clips})
        lines = [f"{len(clips)} clips, {subjects} subjects ({per_class})"]
        if extra := sum(clip.row.train_only for clip in clips):
            lines.append(f"  of these, for training alone: {extra}")
        lines += [f"  left out: {n} {why}" for why, n in sorted(left_out.items())]
        lines += [f"  published correction: {change}" for change in changes]
        return "\n".join(lines)

    def digests(self) -> dict[str, str]:
        """Hashes of the sheet, and for each clip of the names and sizes of all frames
        and the content of three: to read every frame again at each load takes minutes.
        """
        base = self.require_manual_dir()
        made = self.sheet_digests()
        for clip in self.survey.clips:
            digest = hashlib.sha256()
            for path in clip.frames:
                # The name as the disk has it, in whatever encoding.
                size = path.stat().st_size
                digest.update(os.fsencode(path.name) + f" {size}\n".encode())
            for moment in clip.interval:
                digest.update(clip.frames[moment].read_bytes())
            place = f"{clip.folder.relative_to(base)}"
            # A folder may hold more than one clip.
            key = (
                place
                if place not in made
                else f"{place}/{clip.frames[clip.before].name}"
            )
            made[key] = digest.hexdigest()[:16]
        return made

    def sheet_digests(self) -> dict[str, str]:
        """A hash of the content of each sheet, by its path in `manual_dir`."""
        return self.digests_of([self.table])

    def _split_generators(self, dl_manager: object) -> dict[str, Examples]:
        self.info.metadata["errata"] = self.annotation.changes
        return super()._split_generators(dl_manager)

    def spans(self) -> list[Span]:
        return [self._span(clip) for clip in self.survey.clips]

    def _span(self, clip: Clip) -> Span:
        first = clip.onset - clip.before
        last = first + len(clip.frames) - 1
        video = f"{self.data.name}/{self.video(clip)}"
        return Span(self.data.name, *clip.row.key, video, first, last)

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
        self._frames(*item)

    def example(self, item: tuple[Clip, Square | None]) -> dict[str, Any]:
        clip, square = item
        arrays, (onset, apex, offset) = self._inputs(clip, square)
        inputs: dict[str, Any] = {**arrays}
        if self.some_train_only:
            inputs["train_only"] = clip.row.train_only
        return {
            **inputs,
            "label": clip.label,
            "subject": clip.row.subject,
            "dataset": self.data.name,
            "clip_id": clip.row.clip,
            "onset": onset,
            "apex": apex,
            "offset": offset,
            "action_units": clip.row.action_units,
            "frame_rate": clip.row.frame_rate or self.data.frame_rate,
        }

    def _inputs(
        self, clip: Clip, square: Square | None
    ) -> tuple[dict[str, np.ndarray], Interval]:
        shown, interval = self._frames(clip, square), clip.interval
        if self.data.modality == "apex-flow":
            made = features(self.data, shown, (0, 1, 1), clip.row.title)
            return made[0], interval
        return features(self.data, shown, interval, clip.row.title)

    def _frames(self, clip: Clip, square: Square | None) -> np.ndarray:
        """What is read of a clip. Raises: JmerError for what cannot be used."""
        try:
            return self._decoded(clip, square)
        except JmerError as error:
            problem = problem_of(error)
            raise exclusion.UnusableClip(problem, clip.row.name) from error

    def _decoded(self, clip: Clip, square: Square | None) -> np.ndarray:
        bits, moving = self.depth.bits, clip.row.title
        if self.data.modality == "apex-flow":
            # Of a long clip in full size, only the two frames that it takes. Flow is
            # estimated before it is shrunk, of an aligned face as of a whole frame.
            ends = [clip.frames[i] for i in clip.interval[:2]]
            if clip.apex == clip.onset:
                moving = ""
            cut = None if square is None else square.cut
            return frame_files.decode(ends, cut, bits=bits, moving=moving)
        shrunk = functools.partial(_shrunk, square, self.data.size)
        return frame_files.decode(clip.frames, shrunk, bits=bits, moving=moving)


def _of_a_clip(line: Line) -> bool:
    return any(line.values.get(name) for name in ("clip", "onset", "apex", "offset"))


def _shrunk(square: Square | None, size: int, frame: np.ndarray) -> np.ndarray:
    """The part of a frame that is stored, right away: whole clips in full are large."""
    return resize(frame[None], size)[0] if square is None else square.cut(frame, size)
