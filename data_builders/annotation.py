"""One annotated clip: as the sheet has it, corrected, and as frames on disk."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from data_builders.video_files import VideoFrame
from jmer.errors import shortened


@dataclass(frozen=True)
class SheetRow:
    """A clip as a sheet has it; frame numbers are those of the recording, as text."""

    where: str
    """File, sheet and row, for people."""
    number: int
    """Data row, from 0."""
    subject: str
    clip: str
    labels: Mapping[str, str]
    """The words of each column of labels, in lower case."""
    onset: str
    apex: str
    offset: str
    action_units: str = ""
    folder: str = ""
    """What the frames lie under, where that is not the name of the clip."""
    frame_rate: float = 0.0
    """Frames a second, where they are not those of the whole set."""
    dataset: str = ""
    """Where the clip is from, where the set has clips of several."""
    train_only: bool = False
    """Whether the clip may train but is never tested."""
    session: str = ""
    """The sitting of the subject in which the clip was recorded, where that is known.
    """

    @property
    def key(self) -> tuple[str, str]:
        return self.subject, self.clip

    @property
    def name(self) -> str:
        """What `--exclude` calls it."""
        return f"{self.subject}/{self.clip}"

    @property
    def title(self) -> str:
        return shortened(self.name)


Correctable = Literal["onset", "apex", "offset", "action_units", "emotion"]


@dataclass(frozen=True)
class Correction:
    """A published correction, of the clip `key` or of data row `row`.

    Numbers of rows mean something only in the sheet that they were published for,
    which has `rows` rows.
    """

    field: Correctable
    value: str
    key: tuple[str, str] | None = None
    row: int = -1
    rows: int = 0

    def meets(self, row: SheetRow, rows: int) -> bool:
        if self.key is not None:
            return row.key == self.key
        return row.number == self.row and rows == self.rows

    def before(self, row: SheetRow) -> str:
        label = self.field == "emotion"
        return row.labels[self.field] if label else getattr(row, self.field)

    def applied(self, row: SheetRow) -> SheetRow:
        change: dict[str, Any] = {self.field: self.value}
        if self.field == "emotion":
            change = {"labels": {**row.labels, **change}}
        return replace(row, **change)


def by_row(
    rows: int,
    field: Correctable,
    values: Mapping[int, int | str],
) -> tuple[Correction, ...]:
    """Corrections of a sheet of `rows` rows, by data row."""
    return tuple(
        Correction(field, str(value), row=row, rows=rows)
        for row, value in values.items()
    )


def out_of_order(rows: Sequence[SheetRow], known: Mapping[int, tuple[str, str]]) -> str:
    """What is odd about a sheet that is as long as the published one, and has another
    clip in a row that is `known`; nothing if it has none."""
    for number, (subject, clip) in known.items():
        if number >= len(rows):
            continue
        row = rows[number]
        if (row.subject, row.clip.lower()) != (subject, clip.lower()):
            return (
                f"{row.where}: here the published sheet has {subject}/{clip}, and this "
                f"one {row.title}. It was sorted, so that the published corrections "
                f"that go by row were not applied. Restore the published order"
            )
    return ""


def correct(
    rows: Sequence[SheetRow], corrections: Sequence[Correction]
) -> tuple[list[SheetRow], list[str]]:
    """The rows with all corrections that meet them, and a line on each change."""
    corrected, changes = [], []
    for row in rows:
        fixed = row
        for correction in corrections:
            if not correction.meets(row, len(rows)):
                continue
            before = correction.before(fixed)
            if before != correction.value:
                fixed = correction.applied(fixed)
                changes.append(
                    f"{row.title} (data row {row.number}): {correction.field} "
                    f"{before or 'empty'} -> {correction.value}"
                )
        corrected.append(fixed)
    return corrected, changes


@dataclass(frozen=True)
class Clip:
    """A clip that takes part: its label, and the frames from onset to offset."""

    row: SheetRow
    label: int
    onset: int
    apex: int
    offset: int
    folder: Path
    """Of its frames; or the video that they are of."""
    frames: tuple[Path | VideoFrame, ...]
    """A file for each number from onset to offset, and for those of the context."""
    before: int = 0
    """How many of them come before the onset."""
    late_apex: Path | VideoFrame | None = None
    """The apex frame, where it comes after the last frame of the clip."""

    @property
    def interval(self) -> tuple[int, int, int]:
        """Onset, apex and offset among `frames`."""
        moments = (self.onset, self.apex, self.offset)
        onset, apex, offset = (m - self.onset + self.before for m in moments)
        return onset, apex, offset


def subject_number(text: str) -> int | None:
    """The number of `1`, `01`, `s01`, `sub01`, `006` or `spNO.1`; None where there is
    none or more than one, as in `1.5` and dates."""
    found = re.fullmatch(r"(?!-)\D*(\d{1,9})\D*", text)
    return int(found[1]) if found else None


def frame_number(text: str) -> int | None:
    """A frame number, None if `text` is none."""
    return int(text) if re.fullmatch(r"\d{1,12}", text) else None
