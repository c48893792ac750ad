"""Test predictions, in memory and on disk."""

import csv
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.files import write_bytes
from jmer.files.cells import as_it_was, csv_text, lines_of
from jmer.scores.labels import CLASSES, UNITS, LabelKind, kind_of
from jmer.text import counted

NAMES = ("dataset", "subject", "clip", "fold")
NUMBERS = ("seed", "variant")
CLASS_COLUMNS = ("label", "predicted")
COLUMNS = NAMES + NUMBERS + CLASS_COLUMNS
SESSION = "session"
"""A column that is there where the data set knows of sittings."""
PROBABILITY, UNIT = "prob_", "unit_"
"""How the columns of probabilities begin: of classes, which sum to 1, and of action
units, each by itself."""


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """Test predictions, one row per (clip, seed, variant).

    `dataset`, `subject`, `clip` and `fold` are text [n], and the first three
    together name a clip; `seed` and `variant` are whole numbers [n]; `label` and
    `predicted` [n] are indices in `classes`; `probabilities` is float32 [n, k], in
    [0, 1], with rows that sum to 1. Of action units, which `classes` names then,
    `label` and `predicted` are truths [n, k], and probabilities those of each unit.
    `session` is text [n], the sitting of its subject that a clip is of, "" where that
    is not known, and None where it is of none.

    Raises: ValueError if the lengths differ or an index is outside `classes`.
    """

    classes: tuple[str, ...]
    dataset: np.ndarray
    subject: np.ndarray
    clip: np.ndarray
    fold: np.ndarray
    seed: np.ndarray
    variant: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    session: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows, k = len(self.label), len(self.classes)
        wanted: dict[str, tuple[int, ...]] = dict.fromkeys(COLUMNS, (rows,))
        wanted["probabilities"] = (rows, k)
        if self.kind is UNITS:
            wanted |= dict.fromkeys(CLASS_COLUMNS, (rows, k))
        if self.session is not None:
            wanted[SESSION] = (rows,)
        shapes = {name: getattr(self, name).shape for name in wanted}
        wrong = {name: shape for name, shape in shapes.items() if shape != wanted[name]}
        if wrong:
            raise ValueError(f"{rows} rows, {k} classes, but {wrong}")
        if self.kind is UNITS:
            return
        for name in CLASS_COLUMNS:
            index = getattr(self, name)
            if rows and not 0 <= index.min() <= index.max() < len(self.classes):
                raise ValueError(f"{name} has indices outside {self.classes}")

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        parts = [
            counted(len(np.unique(getattr(self, name))), name)
            for name in ("fold", "seed", "variant")
        ]
        rows, named = counted(len(self), "prediction"), ", ".join(self.classes)
        return f"{rows} ({', '.join(parts)}) of {named}"

    @property
    def kind(self) -> LabelKind:
        """What the labels are: classes, or sets of action units."""
        return kind_of(self.label)

    @functools.cached_property
    def right(self) -> np.ndarray:
        """Whether each row is right [n]; of action units, right in each of them."""
        same: np.ndarray = np.equal(self.label, self.predicted)
        return same if self.kind is CLASSES else np.all(same, axis=1)

    @functools.cached_property
    def names(self) -> list[tuple[str, str, str]]:
        """Data set, subject and clip of each row, which together name a clip."""
        columns = (self.dataset, self.subject, self.clip)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @property
    def sessions(self) -> np.ndarray:
        """The sitting of each row [n], "" where that is not known."""
        return np.full(len(self), "") if self.session is None else self.session

    def select(
        self,
        *,
        seed: int | None = None,
        variant: int | None = None,
        fold: str | None = None,
    ) -> "Predictions":
        """The rows of one seed, variant or fold.

        Raises: JmerError if there are none, naming what there is.
        """
        keep = np.ones(len(self), bool)
        for name, wanted in (("seed", seed), ("variant", variant), ("fold", fold)):
            if wanted is None:
                continue
            column = getattr(self, name)
            keep &= column == wanted
            if not keep.any():
                known = ", ".join(map(str, np.unique(column)))
                raise JmerError(
                    f"no predictions with {name} {wanted!r}; there are: {known}."
                )
        return self.where(keep)

    def in_order(self, units: Sequence[str]) -> "Predictions":
        """The same predictions of action units, these `units` in another order."""
        if tuple(units) == self.classes:
            return self
        places = [self.classes.index(name) for name in units]
        columns = ("label", "predicted", "probabilities")
        changed = {name: getattr(self, name)[:, places] for name in columns}
        return replace(self, classes=tuple(units), **changed)

    def where(self, keep: np.ndarray) -> "Predictions":
        """The rows that `keep` [n] is True for."""
        columns = {
            field.name: getattr(self, field.name)[keep]
            for field in fields(self)
            if field.name != "classes" and getattr(self, field.name) is not None
        }
        return Predictions(classes=self.classes, **columns)

    def save(self, path: Path) -> None:
        """Writes a CSV file at once or not at all; classes are written by name, sets of
        action units as AU1+AU4 or none, and names that a spreadsheet would calculate as
        `files.cells` says.

        Raises: JmerError if the place cannot be written.
        """
        write_bytes(path, self.content())

    def content(self) -> bytes:
        """What `save` writes."""
        before = UNIT if self.kind is UNITS else PROBABILITY
        told = (SESSION,) if (self.sessions != "").any() else ()
        header = (*COLUMNS, *told, *(before + name for name in self.classes))
        columns = [getattr(self, name).tolist() for name in NAMES + NUMBERS]
        columns += [
            self.kind.texts(getattr(self, name), self.classes) for name in CLASS_COLUMNS
        ]
        columns += [getattr(self, name).tolist() for name in told]
        # str() of a float32 is the shortest text that reads back to the same bits.
        shares = ([str(p) for p in row] for row in self.probabilities)
        both = zip(zip(*columns, strict=True), shares, strict=True)
        return csv_text([header, *((*row, *share) for row, share in both)]).encode()

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Reads what `save` wrote; unknown columns are ignored.

        Raises: JmerError naming the file, row (the header is row 1), value and
        remedy, if the file is missing or damaged.
        """
        rows = _read_rows(path)
        header = next(rows, [])
        missing = [name for name in COLUMNS if name not in header]
        kind = UNITS if any(name.startswith(UNIT) for name in header) else CLASSES
        before = UNIT if kind is UNITS else PROBABILITY
        classes = tuple(
            name.removeprefix(before) for name in header if name.startswith(before)
        )
        if not classes:
            missing.append(f"{PROBABILITY}<class>")
        if missing:
            raise _damaged(path, 1, f"has no column {', '.join(missing)}")
        repeated = [name for name, times in Counter(header).items() if times > 1]
        if repeated:
            raise _damaged(path, 1, f"repeats column {', '.join(repeated)}")
        records = [
            _record(path, number, dict(zip(header, row, strict=False)), classes, kind)
            for number, row in enumerate(rows, start=2)
            if _complete(path, number, row, header)
        ]
        if not records:
            raise _damaged(path, 2, "is missing: there are no predictions")
        told = [SESSION] if SESSION in header else []
        columns = {
            name: np.array([record[name] for record in records])
            for name in (*COLUMNS, *told, "probabilities")
        }
        columns["probabilities"] = columns["probabilities"].astype(np.float32)
        return cls(classes=classes, **columns)


def _damaged(path: Path, row: int, problem: str) -> JmerError:
    return JmerError(
        f"{path}: row {row} {problem}. The file was edited or damaged: restore it, "
        f"or run the experiment again."
    )


def _read_rows(path: Path) -> Iterator[list[str]]:
    try:
        # utf-8-sig: a spreadsheet that saved the file again puts a mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(lines_of(file, path), strict=True):
                yield [as_it_was(cell) for cell in row]
    except OSError as error:
        raise JmerError(f"cannot read {path}: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise JmerError(
            f"{path} is no CSV file in UTF-8 ({error}). It was edited or damaged: "
            f"restore it, or run the experiment again."
        ) from error


def _complete(path: Path, number: int, row: list[str], header: list[str]) -> bool:
    if row and len(row) != len(header):
        raise _damaged(
            path, number, f"has {len(row)} values for {len(header)} columns: {row}"
        )
    return bool(row)  # an empty line is no row


def _record(
    path: Path,
    number: int,
    row: dict[str, str],
    classes: Sequence[str],
    kind: LabelKind,
) -> dict[str, Any]:
    record: dict[str, Any] = {name: row[name] for name in NAMES}
    record[SESSION] = row.get(SESSION, "")
    for name in NUMBERS:
        try:
            # Through int64, so that a number too long for the column is caught here.
            record[name] = int(np.int64(int(row[name])))
        except (ValueError, OverflowError) as error:
            problem = f"has {name} {row[name]!r}, which is no whole number"
            raise _damaged(path, number, problem) from error
    for name in CLASS_COLUMNS:
        try:
            record[name] = kind.label_of(row[name], classes)
        except ValueError as error:
            known = ", ".join(classes)
            problem = f"has unknown {name} {row[name]!r}; the {kind.many} are {known}"
            raise _damaged(path, number, problem) from error
    before = UNIT if kind is UNITS else PROBABILITY
    shares = {before + name: row[before + name] for name in classes}
    record["probabilities"] = [
        _share(path, number, name, text) for name, text in shares.items()
    ]
    if kind is UNITS:
        return record
    total = sum(record["probabilities"])
    # float32 softmax is good to 1e-6; spreadsheets round to a few digits.
    if abs(total - 1) > 1e-2:
        raise _damaged(path, number, f"has probabilities that sum to {total:.3g}")
    return record


def _share(path: Path, number: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 <= value <= 1 + 1e-6:
        problem = f"has {name} {text!r}, which is no number from 0 to 1"
        raise _damaged(path, number, problem)
    return value
