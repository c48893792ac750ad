"""Which frames of a video make a clip: windows that slide over it, and moments."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from jmer.errors import JmerError, UsageError
from jmer.predict.conditions import Conditions
from jmer.predict.recipe import Seen
from jmer.predict.source import Source, frame_rate

ALIKE = 0.02
"""Rates that differ by so small a share are one rate: 29.97 and 30."""
SECONDS = 0.5
"""Of a window where nobody knows how long clips of the training set were: what micro-
expressions take at most (Yan et al. 2013)."""
OVERLAPS = {True: 2, False: 4}
"""Windows that a moment lies in, of networks that spot, and of those that do not."""


@dataclass(frozen=True)
class Window:
    """A clip to be: `take` are numbers of the source's frames, and may repeat."""

    take: Int[np.ndarray, " t"]
    start: float
    """Seconds; so `end`, of the last frame."""
    end: float
    first: int = 0
    """The point of the plan's timeline that its first stored frame is of."""


@dataclass(frozen=True)
class Plan:
    """Windows over a source, by their start."""

    windows: list[Window]
    times: Float64[np.ndarray, " g"]
    """Moments, evenly apart, that stored frames of a network that spots are of."""
    seconds: float
    """From the first to the last frame of a window."""
    stride: float
    """Seconds from one window to the next."""
    rate: float
    """Frames a second at which the video is seen; that of the training set where it is
    known."""


def nearest(source: Source, times: np.ndarray) -> Int[np.ndarray, " n"]:
    """The frame that is shown nearest to each moment, the later one of two."""
    seconds = source.seconds
    if len(seconds) == 1:
        return np.zeros(len(times), int)
    after = np.searchsorted(seconds, times - 1e-9).clip(1, len(seconds) - 1)
    # Half way, as `native_times` has it; moments are rounded in files.
    later = seconds[after] - times <= times - seconds[after - 1] + 1e-6
    return np.where(later, after, after - 1)


def seen_rate(source: Source, known: Conditions, asked: float | None) -> float:
    """Frames a second at which a video is seen: as asked, or as the training set has
    them, or as the video has them."""
    own = frame_rate(source)
    rate = asked or known.frame_rate or own
    return own if own and abs(own - rate) <= ALIKE * rate else rate


def step_of(seen: Seen, rate: float) -> float:
    """Seconds from one stored frame to the next of a recipe that goes `by_frames`."""
    recipe = seen.recipe
    if recipe.resample == "native" and seen.method is None:
        return recipe.stride_ms / 1000 if recipe.stride_ms else recipe.stride / rate
    return 1 / rate


def plan(
    source: Source,
    seen: Seen,
    known: Conditions,
    *,
    spots: bool,
    seconds: float | None = None,
    stride: float | None = None,
    rate: float | None = None,
) -> Plan:
    """Windows over all of a source, as long as clips of the training set were.

    `seconds` from the first to the last frame of a window, `stride` from one window to
    the next, and `rate`, frames a second at which the video is seen, replace what is
    known of the training set.

    Raises: JmerError of a source with one frame; UsageError for `seconds` of a recipe
    that has a fixed number of frames at a fixed distance.
    """
    if len(source.seconds) < 2:
        raise JmerError(
            f"{source.path} has one frame, in which nothing moves: give a video, or a "
            f"folder of frames."
        )
    seen_at = seen_rate(source, known, rate)
    n = seen.recipe.frames
    if seen.by_frames:
        if seconds is not None:
            raise UsageError(
                f"window={seconds}: the network sees {n} frames that are "
                f"{1000 * step_of(seen, seen_at):.3g} ms apart; change that with --rate"
            )
        step = step_of(seen, seen_at)
        length = (n - 1) * step
    else:
        length = seconds or _length(known, seen_at)
        step = length / (n - 1)
    hop = stride or (length + step) / OVERLAPS[spots]
    if spots or seen.by_frames:
        return _on_a_grid(source, seen, step, length, hop, seen_at)
    last = float(source.seconds[-1])
    count = max(0, math.floor((last - length) / hop + 1e-6)) + 1
    starts = [i * hop for i in range(count)]
    if starts[-1] + length < last - hop / 2:
        starts.append(max(0.0, last - length))
    made = [_between(source, start, length) for start in starts]
    return Plan(made, np.array([]), length, hop, seen_at)


def _length(known: Conditions, rate: float) -> float:
    if not known.length:
        return SECONDS
    # Of sets without a rate, frames are those of the video.
    return max(known.length - 1, 1) / (known.frame_rate or rate)


def _between(source: Source, start: float, length: float, first: int = 0) -> Window:
    seconds = source.seconds
    near = 0.25 / frame_rate(source)  # moments are rounded in files
    a = int(np.searchsorted(seconds, start - near))
    b = int(np.searchsorted(seconds, start + length + near))
    a = min(a, len(seconds) - 2)
    take = np.arange(a, max(b, a + 2))
    return Window(take, float(seconds[take[0]]), float(seconds[take[-1]]), first)


def _on_a_grid(
    source: Source, seen: Seen, step: float, length: float, hop: float, rate: float
) -> Plan:
    n, last = seen.recipe.frames, float(source.seconds[-1])
    # Up to half a frame beyond the last one, as `native_times` has it.
    count = math.floor((last + 0.5 / frame_rate(source)) / step - 1e-6) + 1
    times = np.arange(count) * step
    frames = nearest(source, times)
    every = max(1, round(hop / step))
    starts = [*range(0, max(count - n, 0) + 1, every)]
    if starts[-1] + n < count:
        starts.append(count - n)
    made = []
    for first in starts:
        if seen.by_frames:
            take = frames[first : first + n]
            ends = float(source.seconds[take[0]]), float(source.seconds[take[-1]])
            made.append(Window(take, *ends, first))
        else:
            made.append(_between(source, float(times[first]), length, first))
    return Plan(made, times, length, every * step, rate)
