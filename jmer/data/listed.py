"""Folds from lists of clips that somebody wrote down, such as a paper's authors."""

import csv
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from jmer.annotations import Int
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold, Protocol, Tested
from jmer.errors import FieldCheck, JmerError, UsageError, shortened
from jmer.files.places import expanded
from jmer.text import counted

PREFIX = "test_"
SHOWN = 4  # rows in an error
NAMES = ("clip", "clip_id", "filename", "name")
"""Columns that may name a clip, or the recording that it is of."""


class Row(NamedTuple):
    """A line of a list: the fold that tests it, and what its clip may be called."""

    where: str
    fold: str
    subject: str
    clips: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ClipLists(Protocol):
    """Folds that are written down: lists of the clips that each of them tests. All
    other clips train in it.

    A list has the columns subject and clip (or filename and, where a recording has
    several clips, onset). They are CSV files `test_NAME.csv`, one a fold, in a folder;
    or one CSV file with a column fold besides.
    """

    subject_independent: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ("lists",)

    lists: Path | None = None
    """Folder of the lists, or the file of all."""
    k: int | None = None
    """How many folds there must be (default: as many as there are)."""
    apart: bool = False
    """Refuse lists with a subject on both sides of a fold; reports of others say that
    they mix them."""
    absent: Literal["refuse", "skip"] = "refuse"
    """What happens to a line whose clip the data set lacks."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "protocol")
        check.choices()
        check.at_least(2, "k")
        object.__setattr__(self, "subject_independent", self.apart)

    def divided(
        self, clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> list[tuple[str, Tested]]:
        """Raises: JmerError for lists that cannot be read, or name a clip that is not
        there, or not all that are."""
        place = {
            (clips.subject[i].lower(), clips.clip_id[i].lower()): at
            for at, i in enumerate(among)
        }
        found, lost = dict[str, list[int]](), list[Row]()
        for row in self.rows():
            keys = [(row.subject.lower(), name.lower()) for name in row.clips]
            at = next((place[key] for key in keys if key in place), None)
            own = found.setdefault(row.fold, [])
            if at is None:
                lost.append(row)
            else:
                own.append(at)
        if lost and self.absent == "refuse":
            raise JmerError(_lost(lost, clips))
        listed = {at for own in found.values() for at in own}
        unlisted = [i for at, i in enumerate(among) if at not in listed]
        if left := [f"{clips.subject[i]}/{clips.clip_id[i]}" for i in unlisted]:
            raise JmerError(
                f"{self.lists} names none of {counted(len(left), 'clip')} of "
                f"{clips.name}: {', '.join(left[:SHOWN])}. Add them, or leave them out "
                f"with --data.exclude {left[0]}."
            )
        if self.k not in (None, len(found)):
            raise UsageError(
                f"protocol.k={self.k}: {self.lists} has {counted(len(found), 'fold')}. "
                f"Leave protocol.k out, or give the other lists."
            )
        every = np.arange(len(among))
        return [(name, np.isin(every, own)) for name, own in found.items()]

    def rows(self) -> Iterator[Row]:
        """The lines of all lists. Raises: JmerError if one cannot be read."""
        for file in self.lists_of():
            yield from _rows(file, one_a_fold=file != self.place)

    @property
    def place(self) -> Path:
        """Raises: UsageError if none is given."""
        if self.lists is None:
            raise UsageError(
                "protocol.lists: give the folder of the lists of clips, a file "
                "test_NAME.csv for each fold, or choose another division, such as "
                "--protocol clip-kfold"
            )
        return expanded(self.lists)

    def lists_of(self) -> Sequence[Path]:
        """The files. Raises: JmerError if there are none."""
        if self.place.is_file():
            return [self.place]
        if found := sorted(self.place.glob(f"{PREFIX}*.csv")):
            return found
        raise JmerError(
            f"protocol.lists={self.lists} has no {PREFIX}NAME.csv: give the folder "
            f"that holds a list for each fold, or the CSV file of all."
        )

    def content(self) -> str:
        """A hash of what the lists say, wherever they lie."""
        lines = "\n".join(f"{r.fold},{r.subject},{r.clips}" for r in self.rows())
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        mixed = "" if self.apart else ", NOT subject-independent"
        return f"{counted(len(folds), 'fold')} from lists of clips{mixed}"


def _rows(file: Path, *, one_a_fold: bool) -> Iterator[Row]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JmerError(
            f"{file} cannot be read as a list of clips ({error}): save it as CSV."
        ) from error
    for number, line in enumerate(lines, start=2):
        told = {str(n).strip().lower(): str(v or "").strip() for n, v in line.items()}
        clip = next((told[name] for name in NAMES if told.get(name)), "")
        fold = file.stem.removeprefix(PREFIX) if one_a_fold else told.get("fold", "")
        lacking = [
            name
            for name, value in (
                ("subject", told.get("subject", "")),
                ("clip", clip),
                ("fold", fold),
            )
            if not value
        ]
        if lacking:
            raise JmerError(
                f"{file}: line {number} has no {lacking[0]}. A list of clips has the "
                f"columns subject and clip (or filename and onset)"
                f"{'' if one_a_fold else ', and fold'}: correct it."
            )
        # One recording may have several clips, told apart by where they begin.
        onset = told.get("onset")
        names = (clip, f"{clip}_{onset}") if onset else (clip,)
        yield Row(f"{file}, line {number}", fold, told["subject"], names)


def _lost(rows: Sequence[Row], clips: ClipSet) -> str:
    shown = ", ".join(
        shortened(f"{row.subject}/{row.clips[-1]}") for row in rows[:SHOWN]
    )
    return (
        f"{rows[0].where}: {clips.name} has no clip "
        f"{shortened(f'{rows[0].subject}/{rows[0].clips[-1]}')}; it lacks "
        f"{counted(len(rows), 'clip')} of the lists ({shown}). Prepare the set with "
        f"them, or leave them out with --protocol.absent skip."
    )
