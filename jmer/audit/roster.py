"""Who is trained and tested where, as a plain table, and what may be wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.data.splits import Fold
from jmer.text import counted

Name = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Round:
    """How often each clip is tested with one seed and variant [n].

    `wanted` is True for clips that should be, and None where that is not known;
    `diverged` is True for those whose training has no result.
    """

    name: str
    times: np.ndarray
    wanted: np.ndarray | None = None
    diverged: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Roster:
    """Clips by data set, subject and clip; folds hold positions in `names`.

    `spans` has the video and the first and last frame of a clip, of those that are
    known, and `sessions` the sitting of its subject that a clip was recorded in.
    `assumed` says how it is known who trains, where nothing lists it.
    """

    names: tuple[Name, ...]
    folds: tuple[Fold, ...]
    rounds: tuple[Round, ...]
    spans: Mapping[Name, tuple[str, int, int]] = field(default_factory=dict)
    sessions: Mapping[Name, str] = field(default_factory=dict)
    assumed: str = ""

    def subjects(self, clips: np.ndarray) -> set[tuple[str, str]]:
        """The people that clips show, each by data set and name."""
        return {self.names[i][:2] for i in clips.tolist()}

    @property
    def trains(self) -> bool:
        """Whether it is known who trains."""
        return any(len(fold.train) for fold in self.folds)


def said(text: str, table: Roster) -> str:
    """A verdict on folds, and how the training side is known."""
    return f"{text} {table.assumed}".rstrip()


def title(name: Sequence[str]) -> str:
    """A clip as a person reads it: `subject/clip`, after a data set that has a name."""
    return "/".join(part for part in name if part)


def check_subjects(table: Roster, *, declared: bool = False) -> Finding:
    """Whether somebody is trained on and tested in one fold.

    `declared`: the protocol says so itself, which is honest, but no cross-validation of
    subjects.
    """
    rule = "subjects"
    if not table.trains:
        return Finding(rule, "unknown", said("Nothing says who trains.", table))
    rows: list[dict[str, Any]] = []
    for fold in table.folds:
        tested = table.subjects(fold.test)
        if both := sorted(tested & table.subjects(fold.train)):
            rows.append(
                {
                    "fold": fold.name,
                    "tested subjects": len(tested),
                    "of these also train": len(both),
                    "such as": title(both[0]),
                }
            )
    if not rows:
        text = f"In {_folds(table)} nobody is trained on and tested."
        return Finding(rule, "ok", said(text, table))
    shares = ", ".join(
        f"{row['of these also train']} of {row['tested subjects']}" for row in rows[:8]
    )
    more = ", …" if len(rows) > 8 else ""
    text = (
        f"In {len(rows)} of {_folds(table)}, subjects that are tested are also trained "
        f"on: {shares}{more}. Such figures do not tell how well new people are "
        f"recognised."
    )
    if declared:
        text += " The run says so itself: its protocol divides clips, not subjects."
    return Finding(
        rule, "warning" if declared else "violation", said(text, table), tuple(rows)
    )


def check_clips(table: Roster) -> Finding:
    """Whether a clip is trained on and tested in one fold."""
    rule = "clips"
    if not table.trains:
        return Finding(rule, "unknown", said("Nothing says which clips train.", table))
    rows = [
        {"fold": fold.name, "clip": title(table.names[i])}
        for fold in table.folds
        for i in np.intersect1d(fold.train, fold.test).tolist()
    ]
    if not rows:
        text = f"In {_folds(table)} no clip is trained on and tested."
        return Finding(rule, "ok", said(text, table))
    text = (
        f"{_cases(rows, 'clip')} trained on and tested in the same fold, such as "
        f"{rows[0]['clip']} in fold {rows[0]['fold']}."
    )
    return Finding(rule, "violation", said(text, table), tuple(rows))


def check_twice(table: Roster) -> Finding:
    """Whether a clip is tested more than once with the same seed."""
    rows = [
        {**_named(found), "clip": title(table.names[i]), "times": int(found.times[i])}
        for found in table.rounds
        for i in np.flatnonzero(found.times > 1).tolist()
    ]
    if not rows:
        return Finding("twice", "ok", "Each tested clip is tested once.")
    text = (
        f"{_cases(rows, 'clip')} tested more than once, such as {rows[0]['clip']}, "
        f"{rows[0]['times']} times: it counts more than others, and one of its tests "
        f"may have trained on it."
    )
    return Finding("twice", "violation", text, tuple(rows))


def check_never(table: Roster) -> Finding:
    """Whether a clip that should be tested is not."""
    rule = "never"
    if all(found.wanted is None for found in table.rounds):
        return Finding(
            rule, "unknown", "Nothing lists the clips that should be tested."
        )
    rows: list[dict[str, str]] = []
    lost: list[dict[str, str]] = []
    for found in table.rounds:
        if found.wanted is None:
            continue
        missing = found.wanted & (found.times == 0)
        for i in np.flatnonzero(missing).tolist():
            row = {**_named(found), "clip": title(table.names[i])}
            gone = found.diverged is not None and found.diverged[i]
            (lost if gone else rows).append(row)
    if rows:
        text = (
            f"{_cases(rows, 'clip')} never tested, such as {rows[0]['clip']}: a result "
            f"without hard clips is better than it should be."
        )
        return Finding(rule, "violation", text, tuple(rows))
    if lost:
        text = (
            f"{_cases(lost, 'clip')} not tested because trainings diverged; the "
            f"figures are those of the others."
        )
        return Finding(rule, "warning", text, tuple(lost))
    wanted = max(int(r.wanted.sum()) for r in table.rounds if r.wanted is not None)
    return Finding(rule, "ok", f"All {counted(wanted, 'clip')} are tested.")


def _folds(table: Roster) -> str:
    return counted(len(table.folds), "fold")


def _cases(rows: list[dict], what: str) -> str:
    return f"{counted(len(rows), what)} {'is' if len(rows) == 1 else 'are'}"


def _named(found: Round) -> dict[str, str]:
    return {"of": found.name} if found.name else {}


def positions(names: Iterable[Name]) -> dict[Name, int]:
    """The place of each name among the distinct ones, in the order they come."""
    found: dict[Name, int] = {}
    for name in names:
        found.setdefault(name, len(found))
    return found
