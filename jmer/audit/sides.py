"""What lies on both sides of a fold: data sets, and pairs of clips that are alike."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import Roster, said
from jmer.data.splits import Fold
from jmer.text import counted

PEOPLE = (
    "Whether somebody was recorded for two of them, no name tells: looks are compared."
)


def check_sets(table: Roster, *, by_set: bool) -> Finding:
    """Whether clips of a data set are trained on and tested in one fold, where folds
    are data sets (`by_set`); of others it is not asked.
    """
    rule = "sets"
    if not by_set:
        return Finding(rule, "ok", "The folds are not data sets, so it is not asked.")
    if not table.trains:
        return Finding(rule, "unknown", said("Nothing says who trains.", table))
    rows: list[dict[str, Any]] = []
    for fold in table.folds:
        train, test = (_sets(table, side) for side in (fold.train, fold.test))
        rows += [{"fold": fold.name, "data set": name} for name in sorted(train & test)]
    folds = counted(len(table.folds), "fold")
    if not rows:
        text = f"In {folds} no data set is trained on and tested. {PEOPLE}"
        return Finding(rule, "ok", said(text, table))
    text = (
        f"{counted(len(rows), 'data set')} {'is' if len(rows) == 1 else 'are'} trained "
        f"on and tested in the same fold, such as {rows[0]['data set']} in fold "
        f"{rows[0]['fold']}: such figures do not tell how well a method does on what "
        f"others recorded."
    )
    return Finding(rule, "violation", said(text, table), tuple(rows))


def _sets(table: Roster, clips: np.ndarray) -> set[str]:
    return {table.names[i][0] for i in clips.tolist()}


def sides_note(pairs: Iterable[tuple[int, int]], folds: Sequence[Fold]) -> str:
    """How many pairs of clips (positions) have one that trains in a fold which tests
    the other; nothing where all have, or nobody knows."""
    pairs = np.array(list(pairs)).reshape(-1, 2)
    split = np.zeros(len(pairs), bool)
    for fold in folds:
        trains, tested = np.isin(pairs, fold.train), np.isin(pairs, fold.test)
        split |= (trains & tested[:, ::-1]).any(1)
    if not folds or split.all():
        return ""
    many = int(split.sum())
    which = f"{many} of these pairs {'is' if many == 1 else 'are'}"
    return f" {which if many else 'None of these pairs is'} on both sides of a fold."
