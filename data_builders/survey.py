"""The survey of a set of annotated frames: sheet and folders to clips and problems.

Looks at names and at the ends of files; no frame is decoded.
"""

import collections
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from data_builders import frame_files
from data_builders.annotation import Clip, SheetRow, frame_number
from data_builders.frame_files import Frame
from data_builders.frame_set import ACTION_UNITS, NO_UNITS, FrameSet
from data_builders.numbering import SHIFTS, Counted, judge
from jmer.data.asking import data_option, other_choices
from jmer.data.exclusion import about_clip, is_excluded
from jmer.data.facs import objective_class, parse_action_units
from jmer.data.problems import Problem, Unusable, problems_of, together
from jmer.errors import JmerError, UsageError, quoted
from jmer.preprocess.temporal import native_times
from jmer.preprocess.tensors import Interval

NO_APEX = ("", "/", "-", "nan", "n/a", "na", "none", "null")
LACKING = "clips that lack frames"
LONGEST = 10_000  # frames of a clip; more is a slip of the pen


class Surveyed(Protocol):
    """What a survey asks of a builder; `FrameBuilder` says more on each."""

    @property
    def data(self) -> FrameSet: ...
    @property
    def first_frame(self) -> int | None: ...
    def require_manual_dir(self) -> Path: ...
    def left_out(self, row: SheetRow) -> str: ...
    def also_wrong(self, row: SheetRow) -> Sequence[Problem]: ...
    def twice(self, row: SheetRow, first: SheetRow) -> Problem: ...
    def moments(self, onset: int, apex: int, offset: int) -> Interval: ...
    def late_apex(self, onset: int, apex: int, offset: int) -> int | None: ...
    @property
    def takes_still(self) -> bool: ...
    def clip_folder(self, row: SheetRow) -> Path | None: ...
    def odd_names(self, row: SheetRow) -> str: ...
    def numbered(self, folder: Path) -> Mapping[int, Frame]: ...


@dataclass(frozen=True)
class Annotation:
    """The rows that have a class, with it, and what became of the others."""

    chosen: list[tuple[SheetRow, str]]
    left_out: collections.Counter[str]
    changes: list[str]
    problems: list[Problem]
    clips: list[str]
    """Names of the clips of all rows."""

    def say(self, kind: str, text: str, clip: str = "") -> None:
        """Adds a problem; with one clip, if it has a name."""
        problem = Problem(text, kind)
        self.problems.append(self.about(problem, clip) if clip else problem)

    def about(self, problem: Problem, clip: str) -> Problem:
        """A problem with a clip, and with how many rows `--exclude` would leave out."""
        return about_clip(problem, clip, max(1, self.named[clip.casefold()]))

    @functools.cached_property
    def named(self) -> collections.Counter[str]:
        """How many rows there are of each name, in capitals or not."""
        return collections.Counter(clip.casefold() for clip in self.clips)


class Survey(NamedTuple):
    """The clips, all problems, how many clips were left out for what, and what is to be
    known of how frames were counted."""

    clips: list[Clip]
    problems: list[Problem]
    left_out: collections.Counter[str]
    note: str = ""


def annotate(
    source: Surveyed, rows: Sequence[SheetRow], changes: Sequence[str]
) -> Annotation:
    """What the rows of a sheet say, after `changes`; needs no frames."""
    made = Annotation([], collections.Counter(), list(changes), [], [])
    seen: dict[tuple[str, str], SheetRow] = {}
    made.clips.extend(row.name for row in rows if row.subject and row.clip)
    for row in rows:
        name = row.name if row.subject and row.clip else ""
        if name and is_excluded(name, source.data.exclude):
            made.left_out[f"{row.title}: excluded (--exclude)"] += 1
            continue
        try:
            reason = source.left_out(row)
        except JmerError as error:
            for problem in (*problems_of(error), *source.also_wrong(row)):
                made.say(problem.kind, problem, name)
            continue
        if reason:
            made.left_out[reason] += 1
            continue
        if not (row.subject and row.clip):
            problem = nameless(row)
            made.say(problem.kind, problem)
        elif (key := (row.subject, row.clip.lower())) in seen:
            problem = source.twice(row, seen[key])
            made.say(problem.kind, problem, name)
        else:
            seen[key] = row
            _choose(source.data, row, made)
        for problem in source.also_wrong(row):
            made.say(problem.kind, problem, name)
    first = "Exclude fewer clips" if source.data.exclude else "Restore the sheet"
    if not made.chosen and not made.problems:
        made.say(
            "no clips",
            f"{source.require_manual_dir()}: no clip is left for "
            f"classes={source.data.classes}. {first}"
            f"{other_choices(source.data, 'classes')}.",
        )
    return made


def nameless(row: SheetRow) -> Problem:
    """What is said of a row that does not say whose clip, or which, it is."""
    return Problem(
        f"{row.where}: subject or clip is empty or no name. Fill it in or remove the "
        f"row.",
        "rows without subject or clip",
    )


def unknown_word(data: FrameSet, row: SheetRow, column: str) -> Problem | None:
    """What is said of a row whose label is none of those that there are."""
    word = row.labels[column]
    known = data.vocabulary.get(column, sum(data.rules.classes.values(), ()))
    if word in known:
        return None
    return Problem(
        f"{row.where}: unknown {column} {quoted(word)} of clip {row.title}. It must be "
        f"one of {', '.join(known)}{data.more_words}.",
        f"unknown {column}",
    )


def _choose(data: FrameSet, row: SheetRow, made: Annotation) -> None:
    rules = data.rules
    if rules.column == ACTION_UNITS:
        try:
            row = _with_class(row)
        except ValueError as error:
            made.say(
                "action units that are none",
                f"{row.where}: {error} (clip {row.title}). Correct the sheet.",
                row.name,
            )
            return
        if not row.labels[ACTION_UNITS] and NO_UNITS not in rules.classes:
            made.left_out["without action units"] += 1
            return
    word = row.labels[rules.column]
    names = [name for name, words in rules.classes.items() if word in words]
    if problem := unknown_word(data, row, rules.column):
        made.say(problem.kind, problem, row.name)
    elif not names:
        made.left_out[data.without_class(word)] += 1
    elif row.key in rules.excluded:
        made.left_out[f"{row.title}: {rules.excluded[row.key]}"] += 1
    else:
        made.chosen.append((row, names[0]))


def _with_class(row: SheetRow) -> SheetRow:
    """With the objective class of the row's action units among its labels.

    Raises: ValueError if they are none.
    """
    name = objective_class(parse_action_units(row.action_units)).lower()
    return replace(row, labels={**row.labels, ACTION_UNITS: name})


def survey(source: Surveyed, annotation: Annotation, root: Path) -> Survey:
    """Finds the frames of all chosen clips; `root` holds the subjects' folders."""
    said = source.data.numbering
    counted = list[Counted]()
    found = _survey(source, annotation, root, SHIFTS.get(said, 0), counted)
    if said in SHIFTS:
        return found
    verdict = judge(source.first_frame, counted)
    if verdict.shift:
        found = _survey(source, annotation, root, verdict.shift, [])
    if verdict.problems:
        # That frames are missing may be no more than another way to count.
        found.problems[:] = [
            problem
            for problem in found.problems
            if problem.kind != LACKING
            or getattr(problem, "clip", "") not in verdict.clips
        ]
        found.problems.extend(verdict.problems)
    return found._replace(note=verdict.note)


def _survey(
    source: Surveyed,
    annotation: Annotation,
    root: Path,
    shift: int,
    counted: list[Counted],
) -> Survey:
    """The same, with `shift` added to the numbers of files; what there is to know of
    the numbers of each clip goes to `counted`."""
    names = source.data.class_names
    made = Survey([], list(annotation.problems), annotation.left_out.copy())
    for row, name in annotation.chosen:
        try:
            clip = _clip(source, root, row, names.index(name), shift, counted)
        except JmerError as error:
            made.problems.extend(
                annotation.about(problem, row.name) for problem in problems_of(error)
            )
            continue
        if clip.offset - clip.onset + 1 < source.data.min_frames:
            made.left_out[f"fewer than {source.data.min_frames} frames"] += 1
        elif clip.onset == clip.offset and not source.takes_still:
            made.problems.append(_of_one_frame(row, clip.onset))
        else:
            made.clips.append(clip)
    if source.data.resample == "native" and source.data.modality != "apex-flow":
        made.problems.extend(_not_as_recorded(source.data, made.clips))
    if not made.clips and not made.problems:
        text = (
            f"{source.require_manual_dir()}: no clip has "
            f"min_frames={source.data.min_frames}. Ask for fewer: "
            f"{data_option('min_frames', 1)}."
        )
        made.problems.append(Problem(text, "no clips"))
    return made


def _not_as_recorded(data: FrameSet, clips: Sequence[Clip]) -> Iterator[Problem]:
    """What keeps clips from being stored frame by frame."""
    lengths: list[tuple[int, Clip]] = []
    for clip in clips:
        try:
            step = data.step(clip.row.frame_rate or data.frame_rate)
        except UsageError as error:
            text = f"{clip.row.where}: clip {clip.row.title}: {error}."
            yield about_clip(Problem(text, "strides that cannot be"), clip.row.name)
            return
        lengths.append((len(native_times(len(clip.frames), step)), clip))
    for count, clip in lengths:
        if count < 2:
            text = (
                f"{clip.row.where}: clip {clip.row.title} has {len(clip.frames)} "
                f"frames, of which that stride keeps one, in which nothing can move. "
                f"Choose {data_option('stride', 1)}."
            )
            yield about_clip(Problem(text, "strides that cannot be"), clip.row.name)
    over = [(count, clip) for count, clip in lengths if count > data.frames]
    if over:
        count, clip = max(over, key=lambda one: one[0])
        text = (
            f"{len(over)} clips have more than frames={data.frames}; the longest, "
            f"{clip.row.title}, has {count}. Keep them all, "
            f"{data_option('frames', count)} (and as many in the network), or fewer "
            f"around the expression, with a smaller {data_option('context')}."
        )
        yield Problem(text, "clips that are too long")


def _of_one_frame(row: SheetRow, number: int) -> Problem:
    text = (
        f"{row.where}: clip {row.title} has one frame, {number}, in which nothing can "
        f"move. Correct the sheet, or choose {data_option('min_frames', 2)}."
    )
    return about_clip(Problem(text, "clips of one frame"), row.name)


def _clip(
    source: Surveyed,
    root: Path,
    row: SheetRow,
    label: int,
    shift: int,
    counted: list[Counted],
) -> Clip:
    said = _numbers(row, source.data.missing_apex)
    onset, apex, offset = source.moments(*said)
    if not onset <= apex <= offset:
        raise Unusable(
            f"{row.where}: onset {onset}, apex {apex} and offset {offset} of clip "
            f"{row.title} are out of order. Correct the sheet.",
            "onset, apex and offset out of order",
        )
    if offset - onset >= LONGEST:
        raise Unusable(
            f"{row.where}: clip {row.title} lasts from {onset} to {offset}, longer "
            f"than {LONGEST} frames. Correct the sheet.",
            "clips that are too long",
        )
    folder = source.clip_folder(row)
    if folder is None:
        raise Unusable(
            f"{row.where}: no folder of clip {row.title} in {root}"
            f"{source.odd_names(row)}. Restore it, or remove the row.",
            "clips without a folder",
        )
    files = source.numbered(folder)
    if files:
        counted.append(Counted(row, folder, min(files), max(files), onset, offset))
    there = {number + shift: path for number, path in files.items()}
    before, after = _context(there, onset, offset, source.data.context)
    refuse = source.data.missing_frames == "refuse"
    chosen = (*before, *_files(row, folder, there, onset, offset, refuse), *after)
    late = source.late_apex(*said)
    shown = () if late is None else _files(row, folder, there, late, late, refuse)
    read = (*chosen, *shown)
    broken = [(path, why) for path in read if (why := frame_files.damage(path))]
    if broken:
        path, why = broken[0]
        more = f" ({len(broken)} such files)" if len(broken) > 1 else ""
        raise Unusable(
            f"{path} {why}{more}. Restore the published file.",
            f"frames: a file {why.partition(' (')[0]}",
        )
    return Clip(row, label, onset, apex, offset, folder, chosen, len(before), *shown)


def _numbers(row: SheetRow, missing_apex: str) -> Interval:
    """Onset, apex and offset as the row has them."""
    onset, offset = frame_number(row.onset), frame_number(row.offset)
    apex = frame_number(row.apex)
    halfway = row.apex.lower() in NO_APEX and missing_apex == "middle"
    if halfway and onset is not None and offset is not None:
        apex = (onset + offset) // 2
    if onset is not None and offset is not None and apex is not None:
        return onset, apex, offset
    absent = row.apex.lower() in NO_APEX
    middle = f", or choose {data_option('missing_apex', 'middle')}" * absent
    # Halfway between ends that are none is no mistake of the apex.
    found = {"onset": onset, "offset": offset, "apex": 0 if halfway else apex}
    wrong = [
        no_number(row, name, middle if name == "apex" else "")
        for name, number in found.items()
        if number is None
    ]
    raise together(wrong)


_NO_VALUE = " (the cell is empty, or a formula whose value was never saved)"


def no_number(row: SheetRow, moment: str, remedy: str = "") -> Problem:
    """What is said of a cell with an onset, apex or offset that is none."""
    text = getattr(row, moment)
    return Problem(
        f"{row.where}: {moment} {quoted(text)} of clip {row.title} is no frame number"
        f"{'' if text else _NO_VALUE}. Correct the sheet{remedy}.",
        f"{moment} that is no frame number",
    )


def _files(
    row: SheetRow,
    folder: Path,
    there: Mapping[int, Frame],
    onset: int,
    offset: int,
    refuse: bool,
) -> tuple[Frame, ...]:
    """A file for each number from onset to offset, of those that are `there`."""
    wanted = range(onset, offset + 1)
    missing = [n for n in wanted if n not in there]
    if not missing:
        return tuple(there[n] for n in wanted)
    if refuse or len(missing) == len(wanted):
        shown = ", ".join(list(frame_files.ranges(missing))[:5])
        remedy = "Restore them" + (
            f", or choose {data_option('missing_frames', 'neighbour')}."
            if len(missing) < len(wanted)
            else ", or correct the sheet."
        )
        raise Unusable(
            f"{row.where}: clip {row.title} lacks {len(missing)} of "
            f"{len(wanted)} frames ({shown}) in {folder}. {remedy}",
            LACKING,
        )
    known = sorted(there)
    return tuple(there[frame_files.nearest(known, n)] for n in wanted)


def _context(
    there: Mapping[int, Frame], onset: int, offset: int, context: int
) -> tuple[list[Frame], list[Frame]]:
    """Up to `context` frames before onset and after offset, as far as they are there
    one after another."""
    wanted = range(1, context + 1)
    before = itertools.takewhile(there.__contains__, (onset - i for i in wanted))
    after = itertools.takewhile(there.__contains__, (offset + i for i in wanted))
    return [there[n] for n in before][::-1], [there[n] for n in after]
