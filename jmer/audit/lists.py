"""The audit of lists of training and test files, such as published folds."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jmer.audit.finding import Audit, Finding
from jmer.audit.roster import (
    Name,
    Roster,
    Round,
    check_clips,
    check_never,
    check_subjects,
    check_twice,
    positions,
    title,
)
from jmer.audit.rows import ListedRow, read_rows
from jmer.audit.shared_frames import check_frames
from jmer.audit.spelling import alike
from jmer.audit.worth import check_size
from jmer.data.splits import Fold
from jmer.errors import JmerError
from jmer.text import counted

TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".ods")


def audit_lists(folder: Path, chosen: Mapping[str, str] | None = None) -> Audit:
    """All that can be said of pairs such as `train_fold_1.csv` and `test_fold_1.csv`.

    Raises: JmerError if there is no such pair, or a list cannot be read.
    """
    lists = {
        fold: (_read(train, chosen), _read(test, chosen))
        for fold, train, test in pairs(folder)
    }
    rows = [row for both in lists.values() for side in both for row in side]
    table = table_of(lists, rows)
    tested = {_name(row) for _, test in lists.values() for row in test}
    subjects = len({name[:2] for name in table.names})
    about = (
        f"{counted(len(lists), 'fold')}, {counted(len(table.names), 'clip')} of "
        f"{counted(subjects, 'subject')}; {len(tested)} tested",
    )
    written = _findings(lists)
    found = alike(rows, [row.where.rpartition(",")[0] for row in rows])
    if found.spellings:
        left = iter(found.rows)
        same = {
            fold: tuple([next(left) for _ in side] for side in sides)
            for fold, sides in lists.items()
        }
        others = {f.rule: f for f in _findings(same)}
        written = [found.doubtful(one, others[one.rule]) for one in written]
    return Audit(str(folder), about + undated(rows), tuple(written))


def _findings(lists: Mapping[str, Sequence[Sequence[ListedRow]]]) -> list[Finding]:
    rows = [row for sides in lists.values() for side in sides for row in side]
    table = table_of(lists, rows)
    tested = {_name(row) for _, test in lists.values() for row in test}
    return [
        _strangers(table, check_subjects(table)),
        check_clips(table),
        check_twice(table),
        check_never(table),
        check_frames(table),
        check_labels(rows),
        check_size(len({name[:2] for name in tested}), len(tested)),
    ]


def _strangers(table: Roster, found: Finding) -> Finding:
    """Of several folds, each tests people who train in others: where none of them ever
    does, the lists may spell them otherwise.
    """
    tests = [frozenset(table.subjects(fold.test)) for fold in table.folds]
    trained = {who for fold in table.folds for who in table.subjects(fold.train)}
    tested = frozenset[tuple[str, str]]().union(*tests)
    if found.verdict != "ok" or len({*tests}) < 2 or tested & trained:
        return found
    text = (
        f"Cannot tell: none of the tested subjects, such as {title(min(tested))}, ever "
        f"trains, as those of other folds should; the training lists have "
        f"{title(min(trained))}. They may be the same people under other names."
    )
    return Finding(found.rule, "unknown", text)


def pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """The name of each fold, its training list and its test list.

    Raises: JmerError if there are none, or a list has no partner.
    """
    if not folder.is_dir():
        raise JmerError(f"{folder} is no folder: give the one that holds the lists.")
    files = {p.name: p for p in sorted(folder.iterdir()) if p.suffix.lower() in TABLES}
    found = []
    for name, path in files.items():
        if name.startswith(("~$", ".")):  # locks and remains of others
            continue
        for side, other in (("train", "test"), ("test", "train")):
            if side in name:
                partner = files.get(name.replace(side, other, 1))
                if partner is None:
                    raise JmerError(
                        f"{path} has no {name.replace(side, other, 1)} beside it: add "
                        f"that list, or move this one elsewhere."
                    )
                if side == "train":
                    found.append((_fold(name), path, partner))
                break
    if not found:
        raise JmerError(
            f"{folder} has no pair of lists such as train_fold_1.csv and "
            f"test_fold_1.csv: give the folder that holds them."
        )
    return sorted(found, key=lambda pair: (len(pair[0]), pair[0]))


def _fold(name: str) -> str:
    """`1` of train_fold_1.csv; the whole name where nothing is left of it."""
    stem = Path(name).stem
    return re.sub(r"(train|fold)", "", stem).strip("_- .") or stem


def _read(path: Path, chosen: Mapping[str, str] | None) -> list[ListedRow]:
    rows = read_rows(path, ["subject"], chosen)
    if rows[0].name is None:
        raise JmerError(
            f"{path} names no clips: it needs a column clip, or video and onset. Say "
            f"which they are with --columns clip=COLUMN."
        )
    return rows


def _name(row: ListedRow) -> Name:
    if row.name is None:
        raise JmerError(f"{row.where}: the clip has no name. Fill it in.")
    return row.name


def table_of(
    lists: Mapping[str, Sequence[Sequence[ListedRow]]],
    rows: Sequence[ListedRow],
) -> Roster:
    """Who is on which side of each fold; of several, each clip should be tested."""
    place = positions(map(_name, rows))
    times: Counter[int] = Counter()
    folds = []
    for fold, sides in lists.items():
        train, test = ([place[_name(row)] for row in side] for side in sides)
        times.update(test)
        folds.append(Fold(fold, np.unique(train), np.unique(test)))
    counts = np.array([times[i] for i in range(len(place))])
    wanted = np.ones(len(place), bool) if len(folds) > 1 else None
    return Roster(
        tuple(place), tuple(folds), (Round("", counts, wanted),), spans_of(rows)
    )


def spans_of(rows: Sequence[ListedRow]) -> dict[Name, tuple[str, int, int]]:
    """The frames of the clips that have a range of them."""
    return {
        row.name: span
        for row in rows
        if row.name is not None and (span := row.span) is not None
    }


def undated(rows: Sequence[ListedRow]) -> tuple[str, ...]:
    """A line on the clips whose offset is before their onset."""
    found: dict[Name, None] = {}
    for row in rows:
        onset, offset = row.number("onset"), row.number("offset")
        if row.name and onset is not None and offset is not None and offset < onset:
            found[row.name] = None
    if not found:
        return ()
    some = ", ".join(title(name) for name in list(found)[:4])
    return (f"{counted(len(found), 'clip')} with an offset before the onset: {some}",)


def check_labels(rows: Sequence[ListedRow]) -> Finding:
    """Whether each clip has one label, in all the rows that name it."""
    labels: dict[Name, dict[str, None]] = {}
    for row in rows:
        if row.name is not None and row.text("label"):
            labels.setdefault(row.name, {})[row.text("label")] = None
    if not labels:
        return Finding("labels", "unknown", "Nothing gives labels to named clips.")
    wrong = tuple(
        {"clip": title(name), "labels": " and ".join(found)}
        for name, found in labels.items()
        if len(found) > 1
    )
    if wrong:
        text = (
            f"{counted(len(wrong), 'clip')} with several labels, such as "
            f"{wrong[0]['clip']}: {wrong[0]['labels']}."
        )
        return Finding("labels", "violation", text, wrong)
    sizes = Counter(next(iter(found)) for found in labels.values())
    shares = ", ".join(f"{label} {n}" for label, n in sizes.most_common(12))
    text = (
        f"Each clip has one label, though no data set was there to compare: {shares}."
    )
    return Finding("labels", "ok", text)
