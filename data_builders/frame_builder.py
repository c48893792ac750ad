"""The builder behind all sets of annotated frames; a data set adds names and places."""

import collections
import functools
import hashlib
import itertools
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from data_builders import alignment, frames
from data_builders.annotation import (
    Clip,
    Correction,
    Row,
    correct,
    frame_number,
    subject_number,
)
from data_builders.config import ACTION_UNITS, OBJECTIVE_CLASS, FrameSet
from data_builders.sheets import Columns, Line, find_table, read_table
from jmer.data.builder import ClipBuilder
from jmer.data.facs import objective_class, parse_action_units
from jmer.data.span import Span
from jmer.errors import JmerError, quoted
from jmer.preprocess.align import Square
from jmer.preprocess.features import Interval, features, resize

NO_APEX = ("", "/")
LONGEST = 10_000  # frames of a clip; more is a slip of the pen


@dataclass(frozen=True)
class Annotation:
    """The rows of a protocol with their classes, and what became of the others."""

    chosen: list[tuple[Row, str]]
    left_out: collections.Counter[str]
    changes: list[str]
    problems: list[str]


class FrameBuilder(ClipBuilder):
    """Reads a sheet and folders of frames. A subclass says how they are called."""

    data: FrameSet

    tables: ClassVar[tuple[str, ...]] = ()
    """Patterns of the sheet's file name."""
    sheet: ClassVar[str] = ""
    """The sheet in a workbook of several."""
    columns: ClassVar[Columns] = {}
    """Names of the columns: subject, clip, onset, apex, offset, those of labels, and
    action_units."""
    positions: ClassVar[tuple[str, ...]] = ()
    """The columns in order, where the sheet has no header."""
    corrections: ClassVar[tuple[Correction, ...]] = ()
    roots: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Names of the folder that holds the subjects, for each `source`."""
    subject_folder: ClassVar[str] = ""
    """Regular expression of the name of a subject's folder."""

    subject_name: ClassVar[str] = ""
    """Format of a subject's name in published lists, from its number."""

    def row(self, line: Line) -> Row:
        """One line of the sheet, with subject and clip named as in published lists."""
        values = line.values
        number = subject_number(values["subject"])
        return Row(
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

    def left_out(self, row: Row) -> str:
        """Why a row is of no concern to any protocol; empty if it is.

        Raises: JmerError if the row does not tell.
        """
        del row
        return ""

    def moments(self, onset: int, apex: int, offset: int) -> Interval:
        """Onset, apex and offset after repairs that a paper's code makes."""
        return onset, apex, offset

    def clip_folder(self, row: Row) -> Path | None:
        """The folder of a clip's frames, None if there is none."""
        home = self.subject_home(row)
        return home and frames.child(home, row.folder or row.clip)

    def subject_home(self, row: Row) -> Path | None:
        """The folder of a row's subject. Raises: JmerError if there are two."""
        number = subject_number(row.subject)
        return frames.one_of(self.subject_folders.get(number, ()))

    def numbered(self, folder: Path) -> dict[int, Path]:
        """The images of a folder by the numbers that the sheet knows them by."""
        return frames.numbered(folder)

    def class_names(self):
        return self.data.class_names

    def tensors(self):
        return self.data.shapes

    def rows(self) -> list[Row]:
        """Raises: JmerError if the sheet is missing, unreadable or lacks a column."""
        return [self.row(line) for line in self._lines()]

    @property
    def optional(self) -> set[str]:
        """The columns that a sheet may lack."""
        column = self.data.rules.column
        needed = "action_units" if column == ACTION_UNITS else column
        return {"action_units", OBJECTIVE_CLASS} - {needed}

    def _lines(self) -> list[Line]:
        return read_table(
            self.table,
            self.columns,
            optional=self.optional,
            sheet=self.sheet,
            positions=self.positions,
        )

    @functools.cached_property
    def table(self) -> Path:
        """The annotation sheet. Raises: JmerError if there is none, or several."""
        return find_table(self.require_manual_dir(), self.tables, self.data.table)

    @functools.cached_property
    def root(self) -> Path:
        """The folder of the subjects' folders. Raises: JmerError if there is none."""
        base, names = self.require_manual_dir(), self.roots[self.data.source]
        frames.forget()  # the disk may have changed since another builder looked
        found = frames.find_root(base, names, self._holds_subjects)
        if found is None:
            raise JmerError(
                f"no folder {' or '.join(names)} with subjects in {base}: put the "
                f"{self.data.source} images there, or choose another --source."
            )
        return found

    def _holds_subjects(self, folder: Path) -> bool:
        pattern = re.compile(self.subject_folder, re.IGNORECASE)
        return any(pattern.fullmatch(p.name) for p in frames.folders(folder))

    @functools.cached_property
    def subject_folders(self) -> dict[int | None, list[Path]]:
        """The folders of each subject, by number; more than one is a mistake."""
        pattern = re.compile(self.subject_folder, re.IGNORECASE)
        found = collections.defaultdict(list)
        for path in frames.folders(self.root):
            if pattern.fullmatch(path.name):
                found[subject_number(path.name)].append(path)
        return dict(found)

    @functools.cached_property
    def annotation(self) -> Annotation:
        """What the sheet says; needs no frames."""
        rows, changes = self.rows(), list[str]()
        if self.data.errata:
            rows, changes = correct(rows, self.corrections)
        made = Annotation([], collections.Counter(), changes, [])
        seen: dict[tuple[str, str], Row] = {}
        for row in rows:
            try:
                reason = self.left_out(row)
            except JmerError as error:
                made.problems.append(str(error))
                continue
            if reason:
                made.left_out[reason] += 1
            elif not (row.subject and row.clip):
                made.problems.append(
                    f"{row.where}: subject or clip is empty or no name. Fill it in or "
                    f"remove the row."
                )
            elif (key := (row.subject, row.clip.lower())) in seen:
                made.problems.append(
                    f"{row.where}: duplicate clip {row.title}, first in "
                    f"{seen[key].where.rsplit(', ', 1)[-1]}. Remove one of the two."
                )
            else:
                seen[key] = row
                self._choose(row, made)
        if not made.chosen and not made.problems:
            made.problems.append(
                f"{self.require_manual_dir()}: no clip is left for "
                f"protocol={self.data.protocol}. Choose another --protocol."
            )
        return made

    def _choose(self, row: Row, made: Annotation) -> None:
        rules = self.data.rules
        if rules.column == ACTION_UNITS:
            try:
                row = _with_class(row)
            except ValueError as error:
                made.problems.append(
                    f"{row.where}: {error} (clip {row.title}). Correct the sheet."
                )
                return
            if not row.labels[ACTION_UNITS]:
                made.left_out["without action units"] += 1
                return
        word = row.labels[rules.column]
        known = self.data.vocabulary.get(rules.column, sum(rules.classes.values(), ()))
        names = [name for name, words in rules.classes.items() if word in words]
        if word not in known:
            made.problems.append(
                f"{row.where}: unknown {rules.column} {quoted(word)} of clip "
                f"{row.title}. It must be one of {', '.join(known)}."
            )
        elif not names:
            made.left_out[f"{word} (no class of {self.data.protocol})"] += 1
        elif row.key in rules.excluded:
            made.left_out[f"{row.title}: {rules.excluded[row.key]}"] += 1
        else:
            made.chosen.append((row, names[0]))

    @functools.cached_property
    def survey(self) -> tuple[list[Clip], list[str], collections.Counter[str]]:
        """The clips, all problems, and how many clips were left out for what."""
        annotation = self.annotation
        clips, problems = [], list(annotation.problems)
        _ = self.root  # without it, every clip would be a problem of its own
        left_out = annotation.left_out.copy()
        for row, name in annotation.chosen:
            try:
                clip = self._clip(row, self.class_names().index(name))
            except JmerError as error:
                problems.append(str(error))
                continue
            if clip.offset - clip.onset + 1 < self.data.min_frames:
                left_out[f"fewer than {self.data.min_frames} frames"] += 1
            elif clip.onset == clip.offset:
                problems.append(
                    f"{row.where}: clip {row.title} has one frame, {clip.onset}, in "
                    f"which nothing can move. Correct the sheet, or choose "
                    f"--min-frames 2."
                )
            else:
                clips.append(clip)
        if not clips and not problems:
            problems.append(
                f"{self.require_manual_dir()}: no clip has "
                f"min_frames={self.data.min_frames}. Ask for fewer."
            )
        return clips, problems, left_out

    def _clip(self, row: Row, label: int) -> Clip:
        onset, apex, offset = self.moments(*self._numbers(row))
        if not onset <= apex <= offset:
            raise JmerError(
                f"{row.where}: onset {onset}, apex {apex} and offset {offset} of clip "
                f"{row.title} are out of order. Correct the sheet."
            )
        if offset - onset >= LONGEST:
            raise JmerError(
                f"{row.where}: clip {row.title} lasts from {onset} to {offset}, longer "
                f"than {LONGEST} frames. Correct the sheet."
            )
        folder = self.clip_folder(row)
        if folder is None:
            raise JmerError(
                f"{row.where}: no folder of clip {row.title} in {self.root}. Restore "
                f"it, or remove the row."
            )
        before, after = self._context(folder, onset, offset)
        files = self._files(row, folder, onset, offset)
        files = (*before, *files, *after)
        broken = [(path, why) for path in files if (why := frames.damage(path))]
        if broken:
            path, why = broken[0]
            more = f" ({len(broken)} such files)" if len(broken) > 1 else ""
            raise JmerError(f"{path} {why}{more}. Restore the published file.")
        return Clip(row, label, onset, apex, offset, folder, files, len(before))

    def _numbers(self, row: Row) -> Interval:
        texts = {"onset": row.onset, "apex": row.apex, "offset": row.offset}
        numbers = {name: frame_number(text) for name, text in texts.items()}
        ends = (numbers["onset"], numbers["offset"])
        halfway = row.apex in NO_APEX and self.data.missing_apex == "middle"
        if halfway and ends[0] is not None and ends[1] is not None:
            numbers["apex"] = (ends[0] + ends[1]) // 2
        for name in ("onset", "offset", "apex"):
            if numbers[name] is None:
                remedy = (
                    "Correct the sheet, or choose --missing-apex middle."
                    if name == "apex"
                    else "Correct the sheet."
                )
                raise JmerError(
                    f"{row.where}: {name} {quoted(texts[name])} of clip {row.title} is "
                    f"no frame number. {remedy}"
                )
        return numbers["onset"], numbers["apex"], numbers["offset"]  # type: ignore[return-value]

    def _files(self, row: Row, folder: Path, onset: int, offset: int):
        there = self.numbered(folder)
        wanted = range(onset, offset + 1)
        missing = [n for n in wanted if n not in there]
        if not missing:
            return tuple(there[n] for n in wanted)
        refuse = self.data.missing_frames == "refuse"
        if refuse or len(missing) == len(wanted):
            shown = ", ".join(list(frames.runs(missing))[:5])
            remedy = "Restore them" + (
                ", or choose --missing-frames neighbour."
                if len(missing) < len(wanted)
                else ", or correct the sheet."
            )
            raise JmerError(
                f"{row.where}: clip {row.title} lacks {len(missing)} of "
                f"{len(wanted)} frames ({shown}) in {folder}. {remedy}"
            )
        known = sorted(there)
        return tuple(there[frames.nearest(known, n)] for n in wanted)

    def _context(self, folder: Path, onset: int, offset: int):
        """The frames before onset and after offset that `context` asks for, as far as
        they are there one after another."""
        there, wanted = self.numbered(folder), range(1, self.data.context + 1)
        before = itertools.takewhile(there.__contains__, (onset - i for i in wanted))
        after = itertools.takewhile(there.__contains__, (offset + i for i in wanted))
        return [there[n] for n in before][::-1], [there[n] for n in after]

    @functools.cached_property
    def squares(self) -> tuple[alignment.Squares, list[str]]:
        """What is cut from the frames of each clip, and all problems with that."""
        if self.data.align == "none":
            return {}, []
        return alignment.squares(self.data, self.survey[0])

    def problems(self):
        return [*self.survey[1], *self.squares[1]]

    def summary(self):
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

    def digests(self):
        """Hashes of the sheet, and for each clip of the names and sizes of all frames
        and the content of three: to read every frame again at each load takes minutes.
        """
        base = self.require_manual_dir()
        made = self._sheet_digest()
        for clip in self.survey[0]:
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

    def _sheet_digest(self) -> dict[str, str]:
        return self.digest_of([self.table])

    def digest_of(self, files: Sequence[Path]) -> dict[str, str]:
        """Hashes of files below `manual_dir`, by where they lie in it."""
        base = self.require_manual_dir()
        return {
            str(file.relative_to(base)): hashlib.sha256(file.read_bytes()).hexdigest()[
                :16
            ]
            for file in files
        }

    def _split_generators(self, dl_manager):
        self.info.metadata["errata"] = self.annotation.changes
        return super()._split_generators(dl_manager)

    def spans(self):
        return [self._span(clip) for clip in self.survey[0]]

    def _span(self, clip: Clip) -> Span:
        first = clip.onset - clip.before
        last = first + len(clip.frames) - 1
        video = f"{self.data.name}/{self.video(clip)}"
        return Span(self.data.name, *clip.row.key, video, first, last)

    def video(self, clip: Clip) -> str:
        """The recording whose frames a clip's numbers count; by default its folder."""
        return str(clip.folder.relative_to(self.require_manual_dir()))

    def items(self):
        return [(clip, self.squares[0].get(clip.row.key)) for clip in self.survey[0]]

    def example(self, item: tuple[Clip, Square | None]) -> dict[str, Any]:
        clip, square = item
        inputs, (onset, apex, offset) = self._inputs(clip, square)
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
    ) -> tuple[dict[str, Any], Interval]:
        data, interval = self.data, clip.interval
        if data.modality == "apex-flow":
            # Of a long clip in full size, only the two frames that it takes. Flow is
            # estimated before it is shrunk, of an aligned face as of a whole frame.
            ends = [clip.frames[i] for i in interval[:2]]
            pair = frames.decode(ends, None if square is None else square.cut)
            return features(data, pair, (0, 1, 1), clip.row.title)[0], interval
        cut = functools.partial(_shrunk, square, data.size)
        shown = frames.decode(clip.frames, cut)
        return features(data, shown, interval, clip.row.title)


def _with_class(row: Row) -> Row:
    """With the objective class of the row's action units among its labels.

    Raises: ValueError if they are none.
    """
    name = objective_class(parse_action_units(row.action_units)).lower()
    return replace(row, labels={**row.labels, ACTION_UNITS: name})


def _shrunk(square: Square | None, size: int, frame: np.ndarray) -> np.ndarray:
    """The part of a frame that is stored, right away: whole clips in full are large."""
    return resize(frame[None], size)[0] if square is None else square.cut(frame, size)
