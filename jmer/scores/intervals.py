"""Spotting: from the intensity of each frame to states and intervals, and their scores.

An interval is (onset, offset), both frames of it. Frames are scored by the area under
the ROC curve of their intensity, intervals as the MEGC challenges do: one is found if
it overlaps a true one by at least half of what either covers, one for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jmer.annotations import Bool, Float, Int, Real
from jmer.errors import JmerError
from jmer.scores.metrics import class_precision, class_recall, confusion_matrix

STATES = ("neutral", "onset", "onset-apex", "apex", "apex-offset", "offset")
NEUTRAL, WEAK, STRONG = 0.1, 0.3, 0.8
"""Intensities below which a frame is neutral, in onset or offset, and not at the apex.
Nag et al. 2019 name the states of their figure 2 without numbers; these are jmer's."""
ENOUGH = 0.5
"""Intersection over union from which on an interval is found (MEGC 2019 and later)."""


def linear_intensity(
    onset: int, apex: int, offset: int, frames: int
) -> Float[np.ndarray, " t"]:
    """Float32 from 0 at the onset to 1 at the apex to 0 at the offset, in straight
    lines, and 0 outside: what frames of which only these three are known may learn.

    Raises: ValueError unless 0 <= onset <= apex <= offset < frames.

    >>> linear_intensity(1, 3, 4, 6).tolist()
    [0.0, 0.0, 0.5, 1.0, 0.0, 0.0]
    """
    if not 0 <= onset <= apex <= offset < frames:
        raise ValueError(f"{onset=}, {apex=}, {offset=} of {frames=} are in no order")
    frame = np.arange(frames)
    rising = (frame - onset) / max(apex - onset, 1)
    falling = (offset - frame) / max(offset - apex, 1)
    curve = np.clip(np.minimum(rising, falling), 0, 1)
    curve[apex] = 1  # also where it is the onset or the offset
    return curve.astype(np.float32)


def annotated(
    intensity: Real[np.ndarray, " t"], onset: int, offset: int
) -> Int[np.ndarray, "m 2"]:
    """The expressions of a recording: onset..offset as they were annotated, and, where
    it shows more, those from the last frame before the intensity rises above 0 to the
    first one after it has fallen, since it is 0 at an onset and an offset.

    >>> annotated(np.array([0, 0, 1, 0, 0, 0.5, 1, 0, 0]), 1, 3).tolist()
    [[1, 3], [4, 7]]
    """
    found = [(onset, offset)] if 0 <= onset <= offset else []
    above = np.concatenate([[False], np.asarray(intensity) > 0, [False]])
    last = len(intensity) - 1
    for first, after in np.flatnonzero(above[1:] != above[:-1]).reshape(-1, 2):
        if not (first <= offset and after - 1 >= onset):
            found.append((max(first - 1, 0), min(after, last)))
    return np.array(sorted(found), int).reshape(-1, 2)


def states(intensity: Real[np.ndarray, " t"]) -> Int[np.ndarray, " t"]:
    """The state of each frame, as index in `STATES`. Of the frames between two neutral
    ones, the highest, the first of several, ends what comes before the apex.
    """
    before = np.zeros(len(intensity), bool)
    for onset, offset in intervals(intensity):
        peak = onset + np.argmax(intensity[onset : offset + 1])
        before[onset : peak + 1] = True
    sides = np.where(before[:, None], (0, 1, 2, 3), (0, 5, 4, 3))
    level = np.digitize(intensity, (NEUTRAL, WEAK, STRONG))
    return sides[np.arange(len(intensity)), level]


def intervals(
    intensity: Real[np.ndarray, " t"],
    *,
    threshold: float = NEUTRAL,
    min_frames: int = 1,
    max_gap: int = 0,
) -> Int[np.ndarray, "m 2"]:
    """(onset, offset) wherever the intensity is at least `threshold`, in order of time.

    Those with no more than `max_gap` frames between them become one; after that, those
    of fewer than `min_frames` frames are dropped.
    """
    above = np.concatenate([[False], intensity >= threshold, [False]])
    edges = np.flatnonzero(above[1:] != above[:-1]).reshape(-1, 2)
    onset, after = edges[:, 0], edges[:, 1]
    apart = onset[1:] - after[:-1] > max_gap
    ends = np.ones(min(len(edges), 1), bool)
    onset = onset[np.concatenate([ends, apart])]
    after = after[np.concatenate([apart, ends])]
    kept = after - onset >= min_frames
    return np.stack([onset, after - 1], axis=1)[kept]


class Roc(NamedTuple):
    """One point for each distinct threshold, from the highest, after (0, 0)."""

    false_positive: Float[np.ndarray, " p"]
    true_positive: Float[np.ndarray, " p"]
    threshold: Float[np.ndarray, " p"]

    @property
    def area(self) -> float:
        """Probability that a positive outscores a negative, ties counted half."""
        return float(np.trapezoid(self.true_positive, self.false_positive))


def roc(score: Real[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> Roc:
    """Rates of frames at or above each threshold, all frames pooled.

    Raises: JmerError if all frames are of one kind, or a score is not a number.
    """
    if positive.all() or not positive.any():
        kind = "within" if len(positive) and positive.all() else "outside"
        raise JmerError(
            f"all {len(positive)} frames are {kind} an expression, so they have no ROC "
            f"curve: take clips that keep neutral frames before onset and after offset."
        )
    if np.isnan(score).any():
        raise JmerError(f"{np.isnan(score).sum()} of {len(score)} scores are NaN.")
    order = np.argsort(-score, kind="stable")
    ranked, hit = score[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true, false = np.cumsum(hit)[last], np.cumsum(~hit)[last]
    return Roc(
        np.append(0.0, false / false[-1]),
        np.append(0.0, true / true[-1]),
        np.append(np.inf, ranked[last]),
    )


@dataclass(frozen=True, eq=False)
class Video:
    """What was found in one video, and what is true; labels are indices of classes.

    Raises: ValueError if an interval ends before it begins, or labels are missing.
    """

    found: Int[np.ndarray, "m 2"]
    true: Int[np.ndarray, "n 2"]
    found_label: Int[np.ndarray, " m"] | None = None
    true_label: Int[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        for name in ("found", "true"):
            rows, label = getattr(self, name), getattr(self, f"{name}_label")
            if rows.ndim != 2 or rows.shape[1] != 2 or (rows[:, 0] > rows[:, 1]).any():
                raise ValueError(f"{name} has rows that are no (onset, offset): {rows}")
            if label is not None and len(label) != len(rows):
                raise ValueError(f"{len(label)} labels for {len(rows)} of {name}")

    @property
    def overlap(self) -> Float[np.ndarray, "m n"]:
        """Frames that two intervals share, over the frames of either."""
        found, true = self.found[:, None], self.true[None]
        shared = np.minimum(found, true)[..., 1] - np.maximum(found, true)[..., 0] + 1
        frames = [part[..., 1] - part[..., 0] + 1 for part in (found, true)]
        shared = np.maximum(shared, 0)
        return shared / (frames[0] + frames[1] - shared)

    def pairs(self, least: float = ENOUGH) -> Int[np.ndarray, "p 2"]:
        """(found, true) of as many intervals as can be paired one for one, with an
        overlap of at least `least`; of equally many, those that overlap most.
        """
        # Half a second to import, and `jmer spot --help` imports this file.
        from scipy.optimize import linear_sum_assignment

        overlap = self.overlap
        # One pair more is worth more than all overlaps together.
        worth = np.where(overlap >= least, overlap + min(overlap.shape), 0)
        rows, columns = linear_sum_assignment(worth, maximize=True)
        good = worth[rows, columns] > 0
        return np.stack([rows[good], columns[good]], axis=1)


class Score(NamedTuple):
    """How many intervals of all videos were hit, found, and true."""

    hits: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        """Share of what was found that is true; 0 if nothing was."""
        return self.hits / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what is true that was found; 0 if nothing is."""
        return self.hits / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """2 hits / (found + true); 0 if there is neither."""
        both = self.found + self.true
        return 2 * self.hits / both if both else 0.0


def interval_score(videos: Sequence[Video], least: float = ENOUGH) -> Score:
    """Counts over all videos, those without an interval of either kind too.

    >>> found, true = np.array([[10, 19], [40, 49]]), np.array([[12, 21], [70, 79]])
    >>> score = interval_score([Video(found, true)])
    >>> score, score.f1
    (Score(hits=1, found=2, true=2), 0.5)
    """
    return Score(
        sum(len(video.pairs(least)) for video in videos),
        sum(len(video.found) for video in videos),
        sum(len(video.true) for video in videos),
    )


class Recognised(NamedTuple):
    """Spotting and recognition of the same videos; each 0 to 1."""

    spotting: float
    """F1 of intervals."""
    analysis: float
    """F1 of the classes of intervals that were hit."""

    @property
    def strs(self) -> float:
        """The spot-then-recognise score."""
        return self.spotting * self.analysis


def spot_then_recognise(
    videos: Sequence[Video], classes: int, least: float = ENOUGH
) -> Recognised:
    """F1 of spotting, and F1 of recognition among what was spotted.

    The latter is the harmonic mean of precision and recall, both means over the classes
    that have a true interval in any video, hit or not (Liong et al. 2023, and the score
    of the MEGC challenges since 2022). Intervals need labels.
    """
    confusion = np.zeros((classes, classes))
    present = np.zeros(classes, bool)
    for video in videos:
        assert video.found_label is not None and video.true_label is not None
        found, true = video.pairs(least).T
        confusion += confusion_matrix(
            video.true_label[true], video.found_label[found], classes
        )
        present[video.true_label] = True
    analysis = 0.0
    if confusion.trace():
        precision = class_precision(confusion)[present].mean()
        recall = class_recall(confusion)[present].mean()
        analysis = float(2 * precision * recall / (precision + recall))
    return Recognised(interval_score(videos, least).f1, analysis)
