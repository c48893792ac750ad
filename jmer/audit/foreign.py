"""The audit of somebody else's predictions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmer.audit.finding import Audit, Finding
from jmer.audit.foreign_figures import Answers, check_stated
from jmer.audit.lists import check_labels, spans_of, undated
from jmer.audit.roster import (
    Name,
    Roster,
    Round,
    check_clips,
    check_never,
    check_subjects,
    check_twice,
    positions,
)
from jmer.audit.rows import ListedRow, read_rows
from jmer.audit.shared_frames import check_frames
from jmer.audit.tally import Stated
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.text import counted

NO_FOLDS = "There is no column fold, so each subject is taken to be one."
REMAINDER = (
    "No column split lists who trains, so clips of other folds are taken to train."
)


def audit_predictions(
    path: Path,
    stated: Mapping[str, Stated] | None = None,
    chosen: Mapping[str, str] | None = None,
) -> Audit:
    """All that can be said of a table of predictions, and of the figures `stated` with
    it; of several epochs the last one of each fold counts.

    Raises: JmerError if it cannot be read, or lacks what it needs.
    """
    rows = read_rows(path, ["subject", "label", "predicted"], chosen)
    tested = [row for row in rows if not _trains(row)]
    if not tested:
        raise JmerError(f"{path} tests nothing: every split is train.")
    table = _table(rows, tested)
    answers = Answers.of(tested, [_fold(row) for row in tested], map(_name, tested))
    folds = "fold" in rows[0].values
    epochs = {row.number("epoch") for row in tested}
    about = (
        f"{counted(len(tested), 'prediction')}, {counted(len(table.folds), 'fold')}"
        + (f", {counted(len(epochs), 'epoch')}" if len(epochs) > 1 else ""),
        *(() if folds else (NO_FOLDS,)),
        *undated(rows),
    )
    return Audit(
        str(path),
        about,
        (
            check_subjects(table),
            check_clips(table),
            _twice(table, rows),
            check_never(table),
            check_frames(table),
            _words(rows, tested),
            *check_stated(answers, stated or {}),
        ),
    )


def _trains(row: ListedRow) -> bool:
    side = row.text("split").lower()
    if side not in ("", "train", "test"):
        raise JmerError(
            f"{row.where}: split {side!r} is neither train nor test. Correct it."
        )
    return side == "train"


def _fold(row: ListedRow) -> str:
    if "fold" in row.values:
        return row.text("fold")
    return "/".join(part for part in (row.text("dataset"), row.text("subject")) if part)


def _name(row: ListedRow) -> Name:
    """A row that names no clip is a clip of its own."""
    line = row.where.rpartition(" ")[2]
    return row.name or (row.text("dataset"), row.text("subject"), f"line {line}")


def _table(rows: Sequence[ListedRow], tested: Sequence[ListedRow]) -> Roster:
    place = positions(map(_name, rows))
    every = np.arange(len(place))
    listed = len(tested) < len(rows)
    names = dict.fromkeys(map(_fold, rows))
    sides: dict[str, tuple[set[int], set[int]]] = {n: (set(), set()) for n in names}
    for row in rows:
        sides[_fold(row)][not _trains(row)].add(place[_name(row)])
    folds = []
    for name, (train, test) in sides.items():
        if not listed and "fold" in rows[0].values and len(sides) > 1:
            train = set(every.tolist()) - test
        folds.append(Fold(name, np.array(sorted(train), int), np.array(sorted(test))))
    remainder = not listed and any(len(fold.train) for fold in folds)
    return Roster(
        tuple(place),
        tuple(folds),
        _rounds(tested, place, len(names) > 1),
        spans_of(rows),
        assumed=REMAINDER if remainder else "",
    )


def _rounds(
    tested: Sequence[ListedRow], place: Mapping[Name, int], several: bool
) -> tuple[Round, ...]:
    keys = (
        (row.number("seed"), _fold(row), place[_name(row)], row.number("epoch"))
        for row in tested
    )
    # Epochs of one training are no tests of their own.
    most: dict[tuple, int] = {}
    for (*key, _), times in Counter(keys).items():
        most[tuple(key)] = max(times, most.get(tuple(key), 0))
    made: dict[str, np.ndarray] = {}
    for (seed, _, clip), times in most.items():
        name = "" if seed is None else f"seed {seed}"
        made.setdefault(name, np.zeros(len(place), int))[clip] += times
    # What is known to exist: all that trains or is tested anywhere.
    wanted = np.ones(len(place), bool) if several and _more_listed(made) else None
    return tuple(Round(name, times, wanted) for name, times in made.items())


def _more_listed(times: Mapping[str, np.ndarray]) -> bool:
    """Whether the table knows of more clips than a seed tests, or has several."""
    return len(times) > 1 or any((found == 0).any() for found in times.values())


def _twice(table: Roster, rows: Sequence[ListedRow]) -> Finding:
    if rows[0].name is None:
        text = "No column names the clips: clip, or video and onset."
        return Finding("twice", "unknown", text)
    found = check_twice(table)
    if found.verdict == "violation" and not {"seed", "epoch"} & set(rows[0].values):
        text = f"{found.text} If these are seeds or epochs, a column should say so."
        return Finding("twice", "violation", text, found.details)
    return found


def _words(rows: Sequence[ListedRow], tested: Sequence[ListedRow]) -> Finding:
    found = check_labels(rows)
    labels = {row.text("label") for row in rows}
    other = sorted({row.text("predicted") for row in tested} - labels)
    if found.verdict == "violation" or not other:
        return found
    text = (
        f"Predicted is {', '.join(other[:4])}, which is no label of any clip (labels: "
        f"{', '.join(sorted(labels)[:8])})."
    )
    return Finding("labels", "warning", text)
