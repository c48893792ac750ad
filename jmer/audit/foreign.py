"""The audit of somebody else's predictions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmer.audit.finding import Audit, Finding
from jmer.audit.lists import check_labels, spans_of, undated
from jmer.audit.overlap import check_frames
from jmer.audit.rows import Row, read_rows
from jmer.audit.scores import check_balance, check_size
from jmer.audit.table import (
    Round,
    Table,
    check_clips,
    check_never,
    check_subjects,
    check_twice,
    positions,
)
from jmer.audit.tally import Stated, Tally, stated_findings
from jmer.data.splits import Fold
from jmer.errors import JmerError, UsageError
from jmer.metrics import METRICS
from jmer.results import Predictions, score
from jmer.text import counted, points

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
            *_figures(tested, stated or {}),
        ),
    )


def parse_stated(words: Sequence[str]) -> dict[str, Stated]:
    """`uf1=0.85` as a figure that rounds, or is cut, to what is printed.

    Raises: UsageError for another score, or a number outside 0 to 1.
    """
    made = {}
    for word in words:
        name, _, text = word.lower().partition("=")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if name not in METRICS or not 0 <= value <= 1:
            raise UsageError(
                f"stated={word}: must be NAME=VALUE with a name of "
                f"{', '.join(METRICS)} and a value from 0 to 1"
            )
        unit = 10.0 ** -len(text.partition(".")[2])
        made[name] = Stated(text, value - 0.5001 * unit, value + 0.9999 * unit)
    return made


def _trains(row: Row) -> bool:
    side = row.text("split").lower()
    if side not in ("", "train", "test"):
        raise JmerError(
            f"{row.where}: split {side!r} is neither train nor test. Correct it."
        )
    return side == "train"


def _fold(row: Row) -> str:
    if "fold" in row.values:
        return row.text("fold")
    return "/".join(part for part in (row.text("dataset"), row.text("subject")) if part)


def _name(row: Row):
    """A row that names no clip is a clip of its own."""
    line = row.where.rpartition(" ")[2]
    return row.name or (row.text("dataset"), row.text("subject"), f"line {line}")


def _table(rows: Sequence[Row], tested: Sequence[Row]) -> Table:
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
    return Table(
        tuple(place),
        tuple(folds),
        _rounds(tested, place, len(names) > 1),
        spans_of(rows),
        assumed=REMAINDER if remainder else "",
    )


def _rounds(tested: Sequence[Row], place, several: bool) -> tuple[Round, ...]:
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


def _twice(table: Table, rows: Sequence[Row]) -> Finding:
    if rows[0].name is None:
        text = "No column names the clips: clip, or video and onset."
        return Finding("twice", "unknown", text)
    found = check_twice(table)
    if found.verdict == "violation" and not {"seed", "epoch"} & set(rows[0].values):
        text = f"{found.text} If these are seeds or epochs, a column should say so."
        return Finding("twice", "violation", text, found.details)
    return found


def _words(rows: Sequence[Row], tested: Sequence[Row]) -> Finding:
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


def _figures(tested: Sequence[Row], stated: Mapping[str, Stated]) -> list[Finding]:
    words = {w for row in tested for w in (row.text("label"), row.text("predicted"))}
    classes = tuple(sorted(words))
    code = {word: i for i, word in enumerate(classes)}
    label = np.array([code[row.text("label")] for row in tested])
    predicted = np.array([code[row.text("predicted")] for row in tested])
    seed = np.array([row.number("seed") or 0 for row in tested])
    epoch = np.array([row.number("epoch") or 0 for row in tested])
    fold = np.array([_fold(row) for row in tested])
    tally = Tally.of(label, predicted, len(classes), seed, fold, epoch)
    ways = tally.ways()
    made = stated_findings(stated, tally.honest, ways)
    shown = ", ".join(f"{n.upper()} {points(v)}" for n, v in tally.honest.items())
    epochs = len(set(epoch.tolist()))
    last = " at the last epoch of each fold" if epochs > 1 else ""
    if stated:
        metrics = f"The stated figures follow from the predictions{last}: {shown}."
        made.setdefault("metrics", Finding("metrics", "ok", metrics))
        pooling = "No stated figure is the mean of the folds' own."
        made.setdefault("pooling", Finding("pooling", "ok", pooling))
    else:
        metrics = f"No figure was stated. The predictions give {shown}{last}."
        made["metrics"] = Finding("metrics", "unknown", metrics)
        made["pooling"] = Finding("pooling", "unknown", "No figure was stated.")
    made.setdefault("selection", _selection(tally, epochs, bool(stated)))
    # The last epoch of each training, as the figures above.
    trainings = list(zip(seed.tolist(), fold.tolist(), strict=True))
    final = dict(sorted(zip(trainings, epoch.tolist(), strict=True)))
    keep = epoch == np.array([final[training] for training in trainings])
    names = [_name(row) for row in tested]
    dataset, subject, clip = (np.array(x) for x in zip(*names, strict=True))
    p = Predictions(
        classes=classes,
        dataset=dataset[keep],
        subject=subject[keep],
        clip=clip[keep],
        fold=fold[keep],
        seed=seed[keep],
        variant=np.zeros(int(keep.sum()), int),
        label=label[keep],
        predicted=predicted[keep],
        probabilities=np.eye(len(classes), dtype=np.float32)[predicted[keep]],
    )
    subjects = {name[:2] for name in names}
    size = check_size(len(subjects), len(set(names)))
    try:
        balance = check_balance(score(p))
    except JmerError:  # of a clip that is tested twice, or has two labels
        balance = Finding("balance", "unknown", "The predictions cannot be scored.")
    return [*made.values(), balance, size]


def _selection(tally: Tally, epochs: int, stated: bool) -> Finding:
    if tally.tested.sum(-1).max() == 1:
        if epochs > 1:
            text = (
                "The folds were tested at different epochs: something chose them, and "
                "nothing says that it was not the test clips."
            )
            return Finding("selection", "warning", text)
        text = "One epoch of each clip does not tell how it was chosen."
        return Finding("selection", "unknown", text)
    best = next(way for way in tally.ways() if way.rule == "selection")
    text = (
        f"With {best.text}, UF1 would be {points(best.scores['uf1'])} instead of "
        f"{points(tally.honest['uf1'])}."
    )
    if stated:
        return Finding("selection", "ok", f"The stated figures are not that. {text}")
    return Finding("selection", "unknown", f"No figure was stated. {text}")
