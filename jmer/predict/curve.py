"""Intensity over time, of windows that overlap, and the intervals that it shows."""

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from jmer.annotations import Float, Int
from jmer.predict.plan import Plan
from jmer.predict.scan import Answered
from jmer.scores.spotting import Rule


@dataclass(frozen=True)
class Curve:
    """What the members say of each moment of a source that is seen."""

    times: Float[np.ndarray, " t"]
    """Seconds."""
    intensity: Float[np.ndarray, "m t"]
    steps: Float[np.ndarray, "m t k"] | None
    """Class probabilities, where the network tells them frame by frame."""

    @functools.cached_property
    def middle(self) -> Float[np.ndarray, " t"]:
        """The median over members, of two in the middle halfway in log odds.

        It is above a threshold where most members are, as each of them is when it is
        scored alone: one that never learnt to spot, and says about the same of every
        moment, shifts and squeezes a mean, but not this. Of two that disagree, log odds
        let a clear no of one outweigh a maybe of the other.
        """
        ordered = np.sort(self.intensity, 0)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        if len(ordered) % 2:
            return low
        sure = np.finfo(np.float32).eps
        odds = [logit(np.clip(side, sure, 1 - sure)) for side in (low, high)]
        made: np.ndarray = expit((odds[0] + odds[1]) / 2)
        return np.where(low == high, low, made)

    @property
    def spread(self) -> Float[np.ndarray, " t"]:
        """Standard deviation over members."""
        return self.intensity.std(0)

    def intervals(self, rule: Rule) -> Int[np.ndarray, "n 3"]:
        """Onset, apex and offset of what the middle shows, as numbers of `times`. A
        time in which nobody was seen ends an interval."""
        made = []
        for first, after in self._parts():
            for onset, offset in first + rule.intervals(self.middle[first:after]):
                apex = onset + int(self.middle[onset : offset + 1].argmax())
                made.append((int(onset), apex, int(offset)))
        return np.array(made, int).reshape(-1, 3)

    def _parts(self) -> list[tuple[int, int]]:
        if not len(self.times):
            return []
        steps = np.diff(self.times)
        usual = float(np.median(steps)) if len(steps) else 0.0
        breaks = np.flatnonzero(steps > 1.5 * usual) + 1
        ends = [0, *map(int, breaks), len(self.times)]
        return list(itertools.pairwise(ends))

    def classes(self, onset: int, offset: int) -> Float[np.ndarray, "m k"] | None:
        """Probabilities of an interval: the mean of its frames, each counting by its
        intensity."""
        if self.steps is None:
            return None
        part = slice(onset, offset + 1)
        counts = np.maximum(self.intensity[:, part], 1e-6)
        counts = counts / counts.sum(1, keepdims=True)
        found: np.ndarray = (self.steps[:, part] * counts[..., None]).sum(1)
        return found


class Gathering:
    """Puts together what windows say of the same moments.

    Where they overlap, a window counts by how far within it a moment lies: a network
    with a memory knows little at its beginning. A moment that one window alone has is
    as that says.
    """

    def __init__(self, plan: Plan, frames: int) -> None:
        self.plan, self.frames = plan, frames
        self.weight = np.zeros(len(plan.times))
        self.intensity: np.ndarray | None = None
        self.steps: np.ndarray | None = None

    def add(self, answered: Answered) -> None:
        intensity, steps = answered.answer.intensity, answered.answer.steps
        assert intensity is not None
        members, _, told = intensity.shape
        before = self.frames - told  # such as the first frame, which has none before it
        inside = 1.0 + np.minimum(np.arange(told), np.arange(told)[::-1])
        if self.intensity is None:
            self.intensity = np.zeros((members, len(self.weight)))
            if steps is not None:
                self.steps = np.zeros((members, len(self.weight), steps.shape[-1]))
        for i, clip in enumerate(answered.clips):
            first = clip.window.first + before
            there = max(min(told, len(self.weight) - first), 0)
            part = slice(first, first + there)
            self.weight[part] += inside[:there]
            self.intensity[:, part] += inside[:there] * intensity[:, i, :there]
            if steps is not None and self.steps is not None:
                counted = inside[:there, None] * steps[:, i, :there]
                self.steps[:, part] += counted

    def curve(self) -> Curve:
        """Of the moments that were seen."""
        seen = self.weight > 0
        if self.intensity is None:
            return Curve(np.array([]), np.zeros((1, 0)), None)
        weight = self.weight[seen]
        steps = self.steps
        return Curve(
            self.plan.times[seen],
            self.intensity[:, seen] / weight,
            None if steps is None else steps[:, seen] / weight[:, None],
        )


def gathered(plan: Plan, frames: int, answers: Iterable[Answered]) -> Curve:
    """The curve of all answers."""
    made = Gathering(plan, frames)
    for one in answers:
        made.add(one)
    return made.curve()
