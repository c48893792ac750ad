"""A clip whose onset and offset are known, made exactly as the training set's are."""

import math

import numpy as np

from jmer.errors import JmerError
from jmer.predict.clips import CutFrame, cut_frame, find_apex, make
from jmer.predict.conditions import Conditions
from jmer.predict.faces import Watcher
from jmer.predict.members import Members
from jmer.predict.plan import ALIKE, Window, nearest, seen_rate
from jmer.predict.recipe import Seen
from jmer.predict.scan import Clip
from jmer.predict.source import Source, frame_rate


def clip_at(
    source: Source,
    moments: tuple[float, float | None, float],
    seen: Seen,
    members: Members,
    watcher: Watcher,
    known: Conditions,
    *,
    rate: float | None = None,
    name: str = "",
) -> Clip | None:
    """The clip from an onset to an offset, both in seconds (infinity: the last frame),
    with the context that the recipe has. An apex of None is looked for, if the recipe
    needs one. None if there is no face at the onset.

    The face is that of the onset frame, as in a set. `name` is what random choices of a
    recipe depend on.

    Raises: JmerError if the moments are not in the source.
    """
    recipe = seen.recipe
    frames, own = _timeline(source, seen, known, rate)
    times = source.seconds[frames]
    last_one = float(source.seconds[-1])
    onset, apex, offset = (
        _at(source, times, last_one if moment == math.inf else moment)
        for moment in moments
    )
    assert onset is not None and offset is not None
    if not onset <= (onset if apex is None else apex) <= offset:
        raise JmerError(
            f"{source.path}: {moments} seconds are not in the order of onset, apex and "
            f"offset."
        )
    first, last = _bounds(seen, onset, offset, len(times), own)
    numbers = frames[first : last + 1]
    held = dict[int, CutFrame]()
    look = None
    for number, picture in source.pictures(_from(frames[onset], numbers)):
        if look is None:
            look = watcher.look(number, picture)
        if not look.usable:
            return None
        held[number] = cut_frame(seen, look.square, picture)
    if look is None:
        return None
    for number, picture in source.pictures(sorted({*numbers.tolist()} - {*held})):
        held[number] = cut_frame(seen, look.square, picture)
    there = np.array([i for i in numbers.tolist() if i in held])
    cut = [held[i] for i in there.tolist()]
    if seen.how == "none" and recipe.modality != "apex-flow":
        # Of a video that is too short, its last frame stays.
        cut += cut[-1:] * (recipe.frames - len(cut))
    a, b = (int(np.abs(there - frames[i]).argmin()) for i in (onset, offset))
    if apex is None:
        inner = np.stack([frame.small for frame in cut[a : b + 1]])
        c = a + (find_apex(inner) if seen.needs_apex else (b - a) // 2)
    else:
        c = int(np.abs(there - frames[apex]).argmin())
    inputs = make(seen, members.network, cut, (a, c, b), name, own)
    window = Window(numbers, float(times[onset]), float(times[offset]))
    return Clip(window, look, int(there[c]), inputs)


def _timeline(
    source: Source, seen: Seen, known: Conditions, rate: float | None
) -> tuple[np.ndarray, float]:
    """The frames that count, and how many there are of them in a second: all, or as the
    training set would have them, where their distance matters."""
    every, own = np.arange(len(source.seconds)), frame_rate(source)
    wanted = seen_rate(source, known, rate)
    apart = own and abs(own - wanted) > ALIKE * wanted
    if not seen.by_frames or not apart or seen.recipe.stride_ms:
        return every, own
    count = int(source.seconds[-1] * wanted + 0.5) + 1
    return nearest(source, np.arange(count) / wanted), wanted


def _bounds(
    seen: Seen, onset: int, offset: int, t: int, rate: float
) -> tuple[int, int]:
    """The first and the last frame of the recording that belong to the clip, as data
    sets have it: context on either side, as far as there is. Where a recording of the
    set is one clip, so many frames about the middle of this one.
    """
    recipe = seen.recipe
    first = max(onset - recipe.context, 0)
    last = min(offset + recipe.context, t - 1)
    if recipe.modality == "apex-flow" or seen.how not in ("none", "native"):
        return first, last
    step = 1.0 if seen.how == "none" else recipe.step(rate)
    most = int((recipe.frames - 1) * step) + 1
    if seen.how == "native" and last - first < most:
        return first, last
    first = min(max((onset + offset + 1 - most) // 2, 0), max(t - most, 0))
    return first, min(first + most, t) - 1


def _at(source: Source, times: np.ndarray, moment: float | None) -> int | None:
    if moment is None:
        return None
    last = float(source.seconds[-1])
    step = last / max(1, len(source.seconds) - 1)
    if not -step <= moment <= last + step:
        raise JmerError(
            f"{source.path}: {moment:g} s is no moment of it: it has frames from 0 to "
            f"{last:.3f} seconds."
        )
    return int(np.abs(times - moment).argmin())


def _from(onset: int, numbers: np.ndarray) -> list[int]:
    """The frames from the onset on, in which the face is looked for first."""
    return sorted({int(i) for i in numbers if i >= onset})
