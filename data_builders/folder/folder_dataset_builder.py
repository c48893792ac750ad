"""TFDS builder of clips that a table names."""

import collections
import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_builders.annotation import Clip, SheetRow, frame_number
from data_builders.disk import content_hash
from data_builders.folder import Folder
from data_builders.folder.places import inside, place_of
from data_builders.folder.sittings import described, doubts, session_name
from data_builders.folder.words import EMPTY, lines, table_of
from data_builders.frame_builder import FrameBuilder
from data_builders.frame_files import Frame
from data_builders.sheets import Line
from data_builders.survey import nameless, no_number, unknown_word
from data_builders.video_files import VideoFrame, is_video, video
from jmer.data.asking import data_option
from jmer.data.prepared import complete
from jmer.data.problems import Problem, Unusable, problem_of, problems_of, together
from jmer.errors import JmerError, quoted
from jmer.preprocess.align import Square

MOMENTS = ("onset", "apex", "offset")


class Builder(FrameBuilder):
    """A row is a clip: a folder of images, whose names count frames, or a video file,
    whose frames are counted as they are shown. Without onset or offset the clip begins
    or ends with its files.
    """

    VERSION = "1.0.0"
    data: Folder

    def class_names(self) -> tuple[str, ...]:
        """As the table has them; where it is gone, as the prepared set has."""
        try:
            return self.data.class_names
        except JmerError:
            if not complete(Path(self.data_dir)):
                raise
            names = Path(self.data_dir, "label.labels.txt").read_text("utf-8")
            return tuple(names.splitlines())

    @functools.cached_property
    def table(self) -> Path:
        return table_of(self.data)

    @functools.cached_property
    def root(self) -> Path:
        return self.require_manual_dir()

    def lines(self) -> list[Line]:
        return lines(self.data)

    def second_opinions(self) -> list[str]:
        return []

    def notes(self) -> list[str]:
        return [*super().notes(), *doubts(self.survey.clips)]

    def summary(self) -> str:
        return "\n".join([super().summary(), *described(self.survey.clips)])

    def rows(self) -> list[SheetRow]:
        lines = self.lines()
        every = [self._whole(self.row(line)) for line in lines]
        clips_of = collections.Counter(row.folder for row in every)
        # Of one video there may be several clips; an onset tells them apart.
        return [
            replace(row, clip=f"{row.clip}@{row.onset or 'start'}")
            if clips_of[row.folder] > 1 and not _given(line)
            else row
            for row, line in zip(every, lines, strict=True)
        ]

    @functools.cached_property
    def without_apex(self) -> set[int]:
        """Numbers of rows whose apex is not known, nor needed."""
        return set()

    @functools.cached_property
    def odd(self) -> dict[int, JmerError]:
        """What is wrong with the moments of a row, by its number."""
        return {}

    @functools.cached_property
    def bad_rates(self) -> dict[int, Problem]:
        """What is wrong with the frame rate of a row, by its number."""
        return {}

    def _whole(self, row: SheetRow) -> SheetRow:
        """With the numbers of onset, apex and offset, as far as the files tell them."""
        if not row.clip:
            return row  # as the survey says
        try:
            folder = self.clip_folder(row)
            known = list(self.numbered(folder))
            if not known:
                raise Unusable(
                    f"{folder} has no frames. Restore them, or remove its rows.",
                    "clips without frames",
                )
        except JmerError as error:
            self.odd[row.number] = _of_row(row, error)
            return row
        if folder.is_file() and not row.frame_rate:
            row = replace(row, frame_rate=video(folder).frame_rate)
        texts = {name: getattr(row, name) for name in MOMENTS}
        given = {n: text for n, text in texts.items() if text.lower() not in EMPTY}
        if "offset" not in given and folder.is_file() and video(folder).lost:
            self.odd[row.number] = _cut_off(row, folder)
            return row
        if self.data.times == "seconds":
            try:
                given = self._frames(row, folder, known, given)
            except JmerError as error:
                self.odd[row.number] = error
                return row
        made = {"onset": f"{known[0]}", "offset": f"{known[-1]}"} | given
        if "apex" not in made and not self.data.needs_apex:
            self.without_apex.add(row.number)
            ends = [frame_number(made[name]) for name in ("onset", "offset")]
            if None not in ends:
                made["apex"] = str(sum(n for n in ends if n is not None) // 2)
        return replace(row, **made)

    def _frames(
        self, row: SheetRow, folder: Path, known: Sequence[int], given: dict[str, str]
    ) -> dict[str, str]:
        """Moments that are given in seconds, as numbers of frames.

        Raises: JmerError of all that are none.
        """
        seconds = self._seconds(row, folder, known)
        made, wrong = dict[str, str](), list[Problem]()
        for name, text in given.items():
            try:
                made[name] = str(known[_at(row, name, text, seconds)])
            except JmerError as error:
                wrong.append(problem_of(error))
        if wrong:
            raise together(wrong)
        return made

    def _seconds(self, row: SheetRow, folder: Path, known: Sequence[int]) -> np.ndarray:
        """When each frame is shown, from the first one on.

        Raises: JmerError of a folder of frames without their rate.
        """
        if folder.is_file():
            return video(folder).seconds
        if not row.frame_rate:
            if row.number in self.bad_rates:
                raise together([self.bad_rates[row.number]])
            raise Unusable(
                f"{row.where}: when the frames in {folder} are shown is not known. "
                f"Fill in a column fps, or give {data_option('fps', 'RATE')}.",
                "frames without their rate",
            )
        return (np.array(known) - known[0]) / row.frame_rate

    def row(self, line: Line) -> SheetRow:
        values = line.values
        subject, place = values["subject"], inside(self.root, values["clip"])
        home = values.get("dataset", "")
        return SheetRow(
            where=line.where,
            number=line.number,
            subject=subject,
            clip=_given(line) or _name(place, subject),
            labels={"label": values["label"].lower()},
            onset=values.get("onset", ""),
            apex=values.get("apex", ""),
            offset=values.get("offset", ""),
            action_units=values.get("action_units", ""),
            folder=place,
            dataset="" if home.lower() in EMPTY else home,
            frame_rate=self._rate(line),
            session=session_name(values.get("session", "")),
        )

    def _rate(self, line: Line) -> float:
        """Frames a second of a folder, 0 where neither row nor option says, or the row
        says what is none."""
        text = line.values.get("fps", "")
        if text.lower() in EMPTY:
            return self.data.fps
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0 < rate < 1e6:
            self.bad_rates[line.number] = Problem(
                f"{line.where}: fps {quoted(text)} is no number of frames a second. "
                f"Correct the table, or empty the cell.",
                "frame rates that are none",
            )
            return 0.0
        return rate

    def also_wrong(self, row: SheetRow) -> Sequence[Problem]:
        """The cells of a row that are wrong, also where its clip cannot be found."""
        odd, rate = self.odd.get(row.number), self.bad_rates.get(row.number)
        said = problems_of(odd) if odd else []
        found = [rate] if rate and rate not in said else []
        if odd is None and self._homes.get(row.subject, row.dataset) == row.dataset:
            return found
        if not (row.subject and row.clip):
            found.append(nameless(row))
        if row.labels["label"] and (word := unknown_word(self.data, row, "label")):
            found.append(word)
        if self.data.times == "frames":
            found += [
                no_number(row, name)
                for name in MOMENTS
                if (text := getattr(row, name)).lower() not in EMPTY
                and frame_number(text) is None
            ]
        return found

    def twice(self, row: SheetRow, first: SheetRow) -> Problem:
        if self._file(row) == self._file(first):
            return super().twice(row, first)
        return Problem(
            f"{row.where}: two files have one name: {row.folder} here and "
            f"{first.folder} in {first.where.rsplit(', ', 1)[-1]} are both clip "
            f"{row.title}. A clip is called by its folders and its file, without the "
            f"ending: rename one of the two, or fill in a column with other names and "
            f"add {data_option('columns', 'clip_name=COLUMN')}.",
            "files that have one name",
        )

    def _file(self, row: SheetRow) -> str:
        """Where its clip lies, however that is written."""
        try:
            return os.path.realpath(self.clip_folder(row))
        except JmerError:
            return row.folder

    def left_out(self, row: SheetRow) -> str:
        """Rows whose word has no class in the table of labels. Raises: JmerError if
        the subject is one of another data set too, or the clip cannot be found."""
        home = self._homes.setdefault(row.subject, row.dataset)
        odd = self.odd.get(row.number)
        wrong = [*problems_of(odd)] if odd else []
        if home != row.dataset:
            other = Problem(
                f"{row.where}: subject {quoted(row.subject)} is of data set "
                f"{quoted(row.dataset)} here, and of {quoted(home)} above, but a "
                f"subject is one person. Name one of the two otherwise.",
                "subjects of two data sets",
            )
            wrong.insert(0, other)
        if wrong:
            raise together(wrong)
        return "" if row.labels["label"] else "without a label"

    @functools.cached_property
    def _homes(self) -> dict[str, str]:
        return {}

    def clip_folder(self, row: SheetRow) -> Path:
        """Raises: JmerError as `place_of`."""
        return place_of(self.root, row)

    def numbered(self, folder: Path) -> Mapping[int, Frame]:
        if folder.is_dir():
            return self.disk.numbered(folder)
        first = int(self.data.first_frame)
        return {first + i: VideoFrame(folder, i) for i in range(len(video(folder)))}

    def sheet_digests(self) -> dict[str, str]:
        return {self.table.name: content_hash(self.table)}

    def example(self, item: tuple[Clip, Square | None]) -> dict[str, Any]:
        made = super().example(item)
        clip, _ = item
        if not clip.row.frame_rate and clip.folder.is_file():
            made["frame_rate"] = video(clip.folder).frame_rate
        if clip.row.number in self.without_apex:
            made["apex"] = -1
        return made


def _of_row(row: SheetRow, error: JmerError) -> JmerError:
    """What is wrong with the files of a row, with the row."""
    found = problem_of(error)
    return (
        error if row.where in found else Unusable(f"{row.where}: {found}", found.kind)
    )


def _cut_off(row: SheetRow, file: Path) -> JmerError:
    film = video(file)
    last = float(film.seconds[-1])
    return Unusable(
        f"{row.where}: {file} was cut off: it has {len(film)} frames, the last one at "
        f"{last:.3f} s, and says that there were {film.lost:.3f} s more. Restore it, "
        f"or fill in the offset of the clip.",
        "videos that were cut off",
    )


def _given(line: Line) -> str:
    """What the table calls a clip, if it does."""
    name = line.values.get("clip_name", "")
    return "" if name.lower() in EMPTY else re.sub(r"[/\\]", "-", name)


def _name(place: str, subject: str) -> str:
    """What a clip is called within its subject: where it lies, without the ending of a
    video, and without folders of the subject's name."""
    path = Path(place)
    parts = [*path.parts[:-1], path.stem if is_video(path) else path.name]
    if len(parts) > 1 and parts[0] == subject:
        parts = parts[1:]
    return "-".join(parts)


def _at(row: SheetRow, name: str, text: str, seconds: np.ndarray) -> int:
    """Which frame is nearest to a moment. Raises: JmerError if it is no time, or one
    at which no frame is shown."""
    try:
        moment = float(text)
    except ValueError:
        moment = float("nan")
    last = float(seconds[-1])
    step = last / max(1, len(seconds) - 1)
    if not -step <= moment <= last + step:
        raise Unusable(
            f"{row.where}: {name} {quoted(text)} of clip {row.title} is no time in it: "
            f"it has frames from 0 to {last:.3f} seconds. Correct the table, or choose "
            f"{data_option('times', 'frames')} if these are numbers of frames.",
            f"{name} outside of the clip",
        )
    return int(np.abs(seconds - moment).argmin())
