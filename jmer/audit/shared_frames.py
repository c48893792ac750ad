"""Clips of one video that share frames, on both sides of a fold."""

import collections
from collections.abc import Iterator
from typing import Any

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import Roster, said, title
from jmer.text import counted

UNKNOWN = (
    "Nothing says which frames of which video the clips are. A data set that was "
    "prepared by an earlier version tells it once it is prepared again."
)


def check_frames(table: Roster) -> Finding:
    """Whether a tested clip has frames of a video that a training clip has, too.

    Neighbours in a video look the same, so the two need not share a name.
    """
    if not table.spans:
        return Finding("frames", "unknown", UNKNOWN)
    if not table.trains:
        text = said("Nothing says which clips train.", table)
        return Finding("frames", "unknown", text)
    pairs = list(_overlapping(table))
    rows: list[dict[str, Any]] = []
    counts = []
    for fold in table.folds:
        train, test = (np.isin(np.arange(len(table.names)), side) for side in
                       (fold.train, fold.test))  # fmt: skip
        found: dict[int, int] = {}
        for pair in pairs:
            for tested, trained in (pair, pair[::-1]):
                if test[tested] and train[trained]:
                    found.setdefault(tested, trained)
        if found:
            counts.append(f"{len(found)} of {len(fold.test)} in fold {fold.name}")
        rows += [
            {
                "fold": fold.name,
                "tested": _shown(table, a),
                "trained on": _shown(table, b),
            }
            for a, b in sorted(found.items())
        ]
    without = len(table.names) - sum(name in table.spans for name in table.names)
    note = (
        f" {counted(without, 'clip')} of {len(table.names)} without a range of frames "
        f"could not be looked at."
        if without
        else ""
    )
    if not rows:
        text = "No tested clip shares frames of a video with a training clip."
        return Finding("frames", "ok", said(text + note, table))
    text = (
        f"Tested clips overlap in time with training clips of the same video: "
        f"{', '.join(counts[:8])}{', …' if len(counts) > 8 else ''}."
    )
    return Finding("frames", "violation", said(text + note, table), tuple(rows))


def _overlapping(table: Roster) -> Iterator[tuple[int, int]]:
    """All pairs of clips that share frames."""
    of_video = collections.defaultdict(list)
    for i, name in enumerate(table.names):
        if name in table.spans:
            video, first, last = table.spans[name]
            of_video[video].append((first, last, i))
    for spans in of_video.values():
        spans.sort()
        for place, (_, last, i) in enumerate(spans):
            for first, _, j in spans[place + 1 :]:
                if first > last:
                    break
                yield i, j


def _shown(table: Roster, clip: int) -> str:
    _, first, last = table.spans[table.names[clip]]
    return f"{title(table.names[clip])} ({first}–{last})"
