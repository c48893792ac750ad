"""How well predictions on videos of known truth agree with it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jmer.annotations import Int
from jmer.predict.ask import Asking, Judge, judge
from jmer.predict.result import Prediction
from jmer.predict.source import sources
from jmer.runs.run import load_run
from jmer.scores.intervals import Video, interval_score, roc, spot_then_recognise
from jmer.scores.metrics import METRICS
from jmer.scores.spotting import AUC, Rule
from jmer.synthetic.footage import Shown


def score_unseen(
    spotter: Path,
    classifier: Path,
    folder: Path,
    shown: Sequence[Shown],
    *,
    rule: Rule,
    watch: Callable[[int, int], Any] = lambda done, total: None,
) -> dict[str, Any]:
    """The scores of two runs together on videos in `folder`, as JSON values.

    Spotting: AUC over all moments that were seen, and intervals as `jmer spot` counts
    them; of videos without an expression, what was found there in a minute. Names: of
    intervals that were hit, and of all expressions where their true moments are given.

    Raises: JmerError as `judge`, or if no video shows an expression.
    """
    how = Asking(rule=rule)
    spots, names = (Judge.of(load_run(run), how) for run in (spotter, classifier))
    classes = names.members.classes
    videos, scores, within = list[Video](), list[np.ndarray](), list[np.ndarray]()
    confusion = np.zeros((len(classes), len(classes)), int)
    false, minutes = 0, 0.0
    for i, one in enumerate(shown):
        (source,) = sources(folder / one.video)
        found = judge(source, names, spots, how)
        label = classes.index(one.label)
        videos.append(_video(found, one, classes, label))
        assert found.curve is not None
        scores.append(found.curve.middle)
        within.append(_within(found.curve.times, one))
        if not one.moments:
            false, minutes = false + len(found.found), minutes + found.duration / 60
        for onset, apex, offset in (np.array(m) / one.rate for m in one.moments):
            given = Asking(clip=(float(onset), float(apex), float(offset)))
            alone = judge(source, names, None, given)
            if told := alone.namer.label(alone.found[0]):
                confusion[label, classes.index(told)] += 1
        watch(i + 1, len(shown))
    score, both = interval_score(videos), spot_then_recognise(videos, len(classes))
    return {
        "videos": len(shown),
        "subjects": len({one.subject for one in shown}),
        AUC.name: roc(np.concatenate(scores), np.concatenate(within)).area,
        "intervals": {
            **score._asdict(),
            "precision": score.precision,
            "recall": score.recall,
            "f1": score.f1,
        },
        "strs": both.strs,
        "analysis_f1": both.analysis,
        "false_alarms_per_minute": false / minutes if minutes else None,
        "named": {
            "confusion": confusion.tolist(),
            **{name: float(m(confusion)) for name, m in METRICS.items()},
        },
    }


def _within(times: np.ndarray, one: Shown) -> np.ndarray:
    """Whether each moment lies within an expression."""
    made = np.zeros(len(times), bool)
    for onset, _, offset in one.moments:
        made |= (times >= onset / one.rate - 1e-6) & (times <= offset / one.rate + 1e-6)
    return made


def _video(found: Prediction, one: Shown, classes: Sequence[str], label: int) -> Video:
    """Intervals in frames of the video."""
    seen = [[f.frames[0], f.frames[2]] for f in found.found]
    true = [[onset, offset] for onset, _, offset in one.moments]
    named = [found.namer.label(f) for f in found.found]
    return Video(
        _pairs(seen),
        _pairs(true),
        np.array([classes.index(n) if n else -1 for n in named], int),
        np.full(len(true), label),
    )


def _pairs(rows: list[list[int]]) -> Int[np.ndarray, "n 2"]:
    return np.array(rows, int).reshape(-1, 2)
