"""Clips of one sitting, on both sides of a fold."""

from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import Roster, said, title
from jmer.text import counted

RULE = "sessions"
UNKNOWN = (
    "Subjects are on both sides, and nothing says which of their clips were recorded "
    "in one sitting."
)


def check_sessions(table: Roster) -> Finding:
    """Whether a tested clip and a training clip were recorded in one sitting.

    They share light, pose and camera, so that a network may know a clip by these. A
    sitting is of one subject; where subjects are held out, so is all that is theirs.
    """
    if not table.trains:
        return Finding(RULE, "unknown", said("Nothing says which clips train.", table))
    if not any(table.subjects(f.train) & table.subjects(f.test) for f in table.folds):
        text = "Nobody is on both sides of a fold, and so no sitting is."
        return Finding(RULE, "ok", said(text, table))
    if not table.sessions:
        return Finding(RULE, "unknown", said(UNKNOWN, table))
    rows: list[dict[str, Any]] = []
    counts = []
    for fold in table.folds:
        trained, tested = (_by_session(table, side) for side in (fold.train, fold.test))
        both = sorted(trained.keys() & tested.keys())
        if both:
            counts.append(
                f"{len(both)} of {len(tested)} in fold {fold.name}, such as "
                f"{title(both[0])}"
            )
        rows += [
            {
                "fold": fold.name,
                "session": title(session),
                "tested": len(tested[session]),
                "trained on": len(trained[session]),
            }
            for session in both
        ]
    without = sum(name not in table.sessions for name in table.names)
    note = (
        f" {counted(without, 'clip')} of {len(table.names)} without a session could "
        f"not be looked at."
        if without
        else ""
    )
    if not rows:
        text = "No tested clip is of one sitting with a training clip."
        return Finding(RULE, "ok", said(text + note, table))
    text = (
        f"Sittings of which some clips train and others are tested: "
        f"{'; '.join(counts[:8])}{'; …' if len(counts) > 8 else ''}. Clips of one "
        f"sitting share light, pose and camera, and may be recognised by these."
    )
    return Finding(RULE, "warning", said(text + note, table), tuple(rows))


def _by_session(
    table: Roster, side: np.ndarray
) -> dict[tuple[str, str, str], list[int]]:
    """The clips of a side whose sitting is known, by data set, subject and that."""
    found = dict[tuple[str, str, str], list[int]]()
    for i in side.tolist():
        name = table.names[i]
        if session := table.sessions.get(name):
            found.setdefault((*name[:2], session), []).append(i)
    return found
