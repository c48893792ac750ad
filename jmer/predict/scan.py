"""One walk through a source: frames come in, clips go to the network in batches."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jmer.predict.clips import CutFrame, cut_frame, of_window
from jmer.predict.faces import Look, Watcher
from jmer.predict.members import BATCH, Answer, Members, stacked
from jmer.predict.plan import Window
from jmer.predict.recipe import Seen
from jmer.predict.source import Source

LOOK_EVERY = 1.0
"""Seconds after which the face is looked for again."""
Watch = Callable[[int, int | None], object]
"""Is told how many frames are done, and of how many."""


class Clip(NamedTuple):
    """A window as the network saw it."""

    window: Window
    look: Look
    apex: int
    """Frame of the source."""
    inputs: dict[str, np.ndarray]


class Answered(NamedTuple):
    """Clips of one batch, and what the members say of them."""

    clips: list[Clip]
    answer: Answer


def scan(
    source: Source,
    windows: Sequence[Window],
    seen: Seen,
    members: Members,
    watcher: Watcher,
    *,
    every: float = LOOK_EVERY,
    watch: Watch = lambda done, total: None,
) -> Iterator[Answered]:
    """The answers to all windows in which there is a face, in their order.

    Memory does not grow with the source: frames are held as long as a window waits for
    them, in the size that the recipe makes of them.
    """
    batch: list[Clip] = []
    for clip in clips(source, windows, seen, members, watcher, every, watch):
        batch.append(clip)
        if len(batch) == BATCH:
            yield _answered(batch, members)
            batch = []
    if batch:
        yield _answered(batch, members)


def _answered(batch: list[Clip], members: Members) -> Answered:
    answer = members.ask(stacked([clip.inputs for clip in batch]))
    return Answered(batch, answer)


def clips(
    source: Source,
    windows: Sequence[Window],
    seen: Seen,
    members: Members,
    watcher: Watcher,
    every: float,
    watch: Watch,
) -> Iterator[Clip]:
    """All windows in which there is a face, as the network sees them."""
    looks = _when_to_look(source, windows, every)
    reach = _reach(windows, looks)
    wanted = sorted({*looks, *(int(i) for window in windows for i in window.take)})
    found = dict[int, Look]()  # by the frame in which somebody looked
    held = dict[tuple[int, int], CutFrame]()  # by look and frame
    ahead = collections.deque(sorted(reach))
    turn = 0
    for number, picture in source.pictures(wanted):
        watch(int(np.searchsorted(wanted, number)) + 1, len(wanted))
        while ahead and ahead[0] <= number:
            found[ahead[0]] = watcher.look(number, picture)
            ahead.popleft()
        for look in [look for look in found if reach[look][1] < number]:
            del reach[look], found[look]
        for look, seen_then in found.items():
            if reach[look][0] <= number and seen_then.usable:
                cut = cut_frame(seen, seen_then.square, picture)
                held[look, number] = cut
        while turn < len(windows) and windows[turn].take[-1] <= number:
            made = _made(windows[turn], looks[turn], found, held, seen, members)
            turn += 1
            if made is not None:
                yield made
        _let_go(held, windows[turn].take[0] if turn < len(windows) else number + 1)
    # What could not be decoded at the end is as its last frame that could.
    for window, look in zip(windows[turn:], looks[turn:], strict=True):
        if held and window.take[0] <= max(i for _, i in held):
            made = _made(window, look, found, held, seen, members)
            if made is not None:
                yield made


def _when_to_look(source: Source, windows: Sequence[Window], every: float) -> list[int]:
    """For each window the frame in which its face is looked for: its first one, or that
    of a window that began less than `every` seconds before."""
    looks: list[int] = []
    for window in windows:
        first = int(window.take[0])
        fresh = looks and source.seconds[first] - source.seconds[looks[-1]] < every
        looks.append(looks[-1] if fresh else first)
    return looks


def _reach(
    windows: Sequence[Window], looks: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """By look the first and the last frame that are cut as it says."""
    made: dict[int, tuple[int, int]] = {}
    for window, look in zip(windows, looks, strict=True):
        first, last = made.get(look, (int(window.take[0]), 0))
        made[look] = first, max(last, int(window.take[-1]))
    return made


def _made(
    window: Window,
    look: int,
    found: dict[int, Look],
    held: dict[tuple[int, int], CutFrame],
    seen: Seen,
    members: Members,
) -> Clip | None:
    if look not in found or not found[look].usable:
        return None
    frames = list[CutFrame]()
    for i in window.take.tolist():
        # One that cannot be decoded is as the one before.
        frame = held.get((look, i), frames[-1] if frames else None)
        if frame is not None:
            frames.append(frame)
    if not frames:
        return None
    frames = [*frames[:1] * (len(window.take) - len(frames)), *frames]
    name = f"{window.start:.3f}"
    inputs, apex = of_window(seen, members.network, frames, name)
    last = len(window.take) - 1
    return Clip(window, found[look], int(window.take[min(apex, last)]), inputs)


def _let_go(held: dict[tuple[int, int], CutFrame], before: int) -> None:
    for key in [key for key in held if key[1] < before]:
        del held[key]
