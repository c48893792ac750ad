"""Folds from lists of clips that somebody wrote down, such as a paper's authors."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from jmer.annotations import Int
from jmer.data.clips import ClipSet
from jmer.data.list_files import TEST, TRAIN, Row, read_lists
from jmer.data.splits import Fold, Protocol, Tested
from jmer.errors import FieldCheck, JmerError, UsageError, shortened
from jmer.files.places import expanded
from jmer.text import counted, did_you_mean

SHOWN = 4  # rows in an error


@dataclasses.dataclass(frozen=True)
class ClipLists(Protocol):
    """Folds that are written down: lists of the clips, or of the subjects, that each of
    them tests. All others train in it, unless lists say who does.

    A list has the columns subject and clip (or filename and, where a recording has
    several clips, onset); one without clips is of whole subjects. They are CSV files
    `test_NAME.csv`, and `train_NAME.csv`, one a fold, in a folder; or one CSV file with
    a column fold besides, and side (test or train); or one JSON file,
    `{"NAME": {"test": ["SUBJECT", ["SUBJECT", "CLIP"]], "train": […]}}`.
    """

    subject_independent: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]] = ("lists",)
    later: ClassVar[Mapping[str, Any]] = {"train": "others", "untested": "refuse"}

    lists: Path | None = None
    """Folder of the lists, or the file of all."""
    k: int | None = None
    """How many folds there must be (default: as many as there are)."""
    apart: bool = False
    """Refuse lists with a subject on both sides of a fold; of others, reports say
    whether they mix subjects."""
    absent: Literal["refuse", "skip"] = "refuse"
    """What happens to a line whose clip the data set lacks."""
    train: Literal["others", "listed"] = "others"
    """Who trains in a fold: all others, or whom its list names."""
    untested: Literal["refuse", "allow"] = "refuse"
    """What happens to lists that test some clips of the data set in no fold."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "protocol")
        check.choices()
        check.at_least(2, "k")
        object.__setattr__(self, "subject_independent", self.apart)
        object.__setattr__(self, "exhaustive", self.untested == "refuse")
        object.__setattr__(self, "others_train", self.train == "others")

    def divided(
        self, clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> list[tuple[str, Tested]]:
        """Raises: JmerError for lists that cannot be read, or name a clip that is not
        there, or not all that are."""
        rows = list(self.rows())
        found = self._places([r for r in rows if r.side == TEST], clips, among)
        self._check_once(found, clips, among)
        if self.train == "listed":
            _check_tested([r for r in rows if r.fold not in found])
        listed = {at for own in found.values() for at in own}
        unlisted = [i for at, i in enumerate(among) if at not in listed]
        left = [f"{clips.subject[i]}/{clips.clip_id[i]}" for i in unlisted]
        if left and self.exhaustive:
            raise JmerError(
                f"{self.lists} names none of {counted(len(left), 'clip')} of "
                f"{clips.name}: {', '.join(left[:SHOWN])}. Add them, leave them out "
                f"with --data.exclude {left[0]}, or let them be tested in no fold with "
                f"--protocol.untested allow."
            )
        if self.k not in (None, len(found)):
            raise UsageError(
                f"protocol.k={self.k}: {self.lists} has {counted(len(found), 'fold')}. "
                f"Leave protocol.k out, or give the other lists."
            )
        every = np.arange(len(among))
        return [(name, np.isin(every, own)) for name, own in found.items()]

    def trained(
        self, clips: ClipSet, name: str, test: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " train"]:
        """Raises: JmerError if a list must say who trains, and none does."""
        others = self.train == "others"
        train = (
            super().trained(clips, name, test)
            if others
            else self._listed(clips, name, test)
        )
        if self.apart and (both := _both(clips, train, test)):
            raise JmerError(
                f"protocol.lists={self.lists}: in fold {name}, subject {both[0]} is "
                f"trained on and tested. Put all clips of a subject on one side of a "
                f"fold, or leave out --protocol.apart: reports then say that subjects "
                f"are mixed."
            )
        return train

    def _listed(
        self, clips: ClipSet, name: str, test: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " train"]:
        rows = [row for row in self.rows(name, TRAIN) if row.fold == name]
        rows = [row for row in rows if row.side == TRAIN]
        if not rows:
            raise JmerError(
                f"protocol.lists={self.lists}: nothing says who trains in fold {name}. "
                f"Add a list of them, train_{name}.csv or lines whose side is train, "
                f"or let all others train with --protocol.train others."
            )
        found = self._places(rows, clips, np.arange(len(clips)))
        train = np.unique(np.array(found[name], int))
        if len(both := np.intersect1d(train, test)):
            raise JmerError(
                f"protocol.lists={self.lists}: fold {name} trains on clip "
                f"{clips.subject[both[0]]}/{clips.clip_id[both[0]]}, which it tests. "
                f"Take it out of one of its lists."
            )
        return train

    def _check_once(
        self,
        found: Mapping[str, Sequence[int]],
        clips: ClipSet,
        among: Int[np.ndarray, " n"],
    ) -> None:
        """Raises: JmerError if several folds test a clip."""
        tests: dict[int, list[str]] = {}
        for name, own in found.items():
            for at in {*own}:
                tests.setdefault(at, []).append(name)
        for at, names in sorted(tests.items()):
            if len(names) > 1:
                i = among[at]
                raise JmerError(
                    f"protocol.lists={self.lists}: clip {clips.clip_id[i]} of subject "
                    f"{clips.subject[i]} is tested {len(names)} times, in folds "
                    f"{', '.join(names)}. Leave it in the list of one of them."
                )

    def _places(
        self, rows: Iterable[Row], clips: ClipSet, among: Int[np.ndarray, " n"]
    ) -> dict[str, list[int]]:
        """Where in `among` the clips of each fold lie, as often as they are named."""
        place: dict[tuple[str, ...], list[int]] = {}
        for at, i in enumerate(among):
            subject, clip = clips.subject[i].lower(), clips.clip_id[i].lower()
            place[subject, clip] = [at]
            place.setdefault((subject,), []).append(at)
        found, lost = dict[str, list[int]](), list[Row]()
        for row in rows:
            subject = row.subject.lower()
            keys: list[tuple[str, ...]] = [(subject, n.lower()) for n in row.clips]
            keys = keys or [(subject,)]
            own = next((place[key] for key in keys if key in place), None)
            found.setdefault(row.fold, []).extend(own or [])
            if own is None:
                lost.append(row)
        if lost and self.absent == "refuse":
            raise JmerError(_lost(lost, clips))
        return found

    def rows(self, fold: str = "", side: str = "") -> Iterator[Row]:
        """The lines of all lists; in a folder, of those of one fold and side alone, if
        given. Raises: JmerError if one cannot be read."""
        if self.place.is_file():
            yield from read_lists(self.place)
            return
        sides = (TEST, TRAIN) if self.train == "listed" else (TEST,)
        for own in [side] if side else sides:
            for file in self.lists_of(own):
                if fold in ("", name := file.stem.removeprefix(f"{own}_")):
                    yield from read_lists(file, name, own)

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

    def lists_of(self, side: str = TEST) -> Sequence[Path]:
        """The files. Raises: JmerError if there are none of who is tested."""
        if self.place.is_file():
            return [self.place]
        if not self.place.exists():
            near = did_you_mean(self.place.name, self._beside())
            raise JmerError(
                f"protocol.lists={self.lists} is not there: no file or folder is "
                f"called {self.place.absolute()}{near}. Correct the path, or put the "
                f"lists there."
            )
        found = sorted(self.place.glob(f"{side}_*.csv"))
        if found or side == TRAIN:
            return found
        raise JmerError(
            f"protocol.lists={self.lists} has no {TEST}_NAME.csv: give the folder "
            f"that holds a list for each fold, or the CSV file of all."
        )

    def _beside(self) -> Sequence[str]:
        """Names that may have been meant."""
        with contextlib.suppress(OSError):
            return sorted(file.name for file in self.place.absolute().parent.iterdir())
        return ()

    def content(self) -> str:
        """A hash of what the lists say, wherever they lie."""
        rows = [r for r in self.rows() if r.side == TEST or self.train == "listed"]
        # Lists of who is tested alone are named as they were before there were others.
        lines = "\n".join(
            f"{'' if r.side == TEST else 'train,'}{r.fold},{r.subject},{r.clips}"
            for r in rows
        )
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    def keeps_apart(self, folds: Sequence[Fold], clips: ClipSet) -> bool:
        return not any(_both(clips, fold.train, fold.test) for fold in folds)

    def remark(self) -> str:
        """That there are lists of who trains, and nobody asks them."""
        if self.train == "listed":
            return ""
        if self.place.is_file():
            named = {row.fold for row in self.rows() if row.side == TRAIN}
        else:
            named = {file.stem for file in self.lists_of(TRAIN)}
        if not named:
            return ""
        return (
            f"protocol.lists={self.lists} says who trains in "
            f"{counted(len(named), 'fold')}, and is not asked: all others train. "
            f"With --protocol.train listed, it is."
        )

    def describe(self, folds: Sequence[Fold], clips: ClipSet) -> str:
        apart = self.keeps_apart(folds, clips)
        mixed = "" if apart else ", NOT subject-independent"
        tested = np.unique(np.concatenate([fold.test for fold in folds]))
        left = len(clips.testable) - len(tested)
        untested = f", {counted(left, 'clip')} never tested" if left else ""
        return f"{counted(len(folds), 'fold')} from lists of clips{untested}{mixed}"


def _both(
    clips: ClipSet, train: Int[np.ndarray, " n"], test: Int[np.ndarray, " m"]
) -> list[str]:
    """Who is on both sides of a fold."""
    return sorted({*clips.subject[train].tolist()} & {*clips.subject[test].tolist()})


def _check_tested(rows: Sequence[Row]) -> None:
    """Raises: JmerError if there are lines of folds that test nothing."""
    if rows:
        raise JmerError(
            f"{rows[0].where}: a list says who trains in fold {rows[0].fold}, and none "
            f"who is tested: add one, or take it out."
        )


def _lost(rows: Sequence[Row], clips: ClipSet) -> str:
    """What is said of lines whose clip the set lacks."""
    first = rows[0]
    shown = ", ".join(
        shortened("/".join((row.subject, *row.clips[-1:]))) for row in rows[:SHOWN]
    )
    known = {str(name) for name in clips.subject}
    near = "" if first.subject in known else did_you_mean(first.subject, known)
    kind = "clip " if first.clips else "subject "
    named = shortened("/".join((first.subject, *first.clips[-1:])))
    return (
        f"{first.where}: {clips.name} has no {kind}{named}{near}; it lacks "
        f"{counted(len(rows), 'clip' if first.clips else 'subject')} of the lists "
        f"({shown}). Prepare the set with them, or leave them out with "
        f"--protocol.absent skip."
    )
