"""From a clip of any length to one of `n` frames: pure functions of arrays.

Positions are frame numbers from 0, and may lie between two frames.
"""

import zlib
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int, UInt8

Method = Literal[
    "none", "linear", "uniform", "random-sorted", "apex-window", "tim", "whole"
]
Filling = Literal["repeat", "zeros"]
Window = Literal["centred", "inside"]


def linear(
    frames: UInt8[np.ndarray, "t h w c"], n: int
) -> UInt8[np.ndarray, "{n} h w c"]:
    """Frames at `n` equal steps from the first to the last, both included.

    Pixels between two frames are mixed in proportion, then rounded.
    """
    low, share = np.divmod(_even(len(frames), n), 1)
    first = low.astype(int)
    second = np.minimum(first + 1, len(frames) - 1)
    mixed = [
        np.rint((1 - s) * frames[a] + s * frames[b])
        for a, b, s in zip(first, second, share, strict=True)
    ]
    return np.stack(mixed).astype(np.uint8)


def uniform(onset: int, offset: int, n: int) -> Int[np.ndarray, " {n}"]:
    """The central frames of `n` equal segments of onset..offset, both included.

    Where there are fewer frames than `n`, all are taken, and the first and the last
    are repeated around them.

    >>> uniform(10, 29, 5)
    array([12, 16, 20, 24, 28])
    >>> uniform(3, 4, 4)
    array([3, 3, 4, 4])
    """
    return np.clip(_uniform(onset, offset, n), onset, offset)


def random_sorted(
    onset: int, offset: int, n: int, name: str
) -> Int[np.ndarray, " {n}"]:
    """Any `n` frames of onset..offset in their order, always the same of a clip `name`.

    Where there are fewer frames than `n`, as `uniform`.
    """
    return np.clip(_random_sorted(onset, offset, n, name), onset, offset)


def generator(name: str) -> np.random.Generator:
    """Random numbers of a clip that depend on its name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def apex_window(
    apex: int, n: int, t: int, window: Window = "centred"
) -> Int[np.ndarray, " {n}"]:
    """Frames apex - n//2 to apex + (n-1)//2 of a clip of `t` frames.

    The first and the last frame stand in for those that the clip lacks. A window
    `inside` is moved as far as it needs to lie in the clip, so that frames are repeated
    only where the clip has fewer than `n`, and it then has all of them.

    >>> apex_window(2, 6, 20), apex_window(2, 6, 20, "inside")
    (array([0, 0, 1, 2, 3, 4]), array([0, 1, 2, 3, 4, 5]))
    """
    return np.clip(_window(apex, n, t, window), 0, t - 1)


def tim(frames: UInt8[np.ndarray, "t h w c"], n: int) -> UInt8[np.ndarray, "{n} h w c"]:
    """Temporal interpolation model: `n` equal steps along a curve through all frames.

    Zhou, Zhao & Pietikäinen 2011, section 3. Frames i = 1..t are vertices of a path
    graph, whose Laplacian has the eigenvectors y_k(i) = cos(πk(2i-1)/2t). The model
    maps the span of the frames linearly to the curve y(s) and back. Since the y_k are
    orthogonal to one another and to the mean, that map and its inverse cancel but for
    the frames themselves, and what is left is a weighted sum of frames:
    x(s) = mean + 2/t Σ_i x_i Σ_k y_k(i) y_k(s), in which no matrix can be singular.
    Values beyond 0..255 are cut off, then rounded.
    """
    t = len(frames)
    waves = np.pi * np.arange(1, t) / t
    at_frames = np.cos(np.outer(np.arange(t) + 0.5, waves))
    at_steps = np.cos(np.outer(_even(t, n) + 0.5, waves))
    weights = (1 + 2 * at_steps @ at_frames.T) / t
    pixels = frames.reshape(t, -1).astype(np.float64)
    made = np.rint(weights @ pixels).clip(0, 255).astype(np.uint8)
    return made.reshape(n, *frames.shape[1:])


def native(
    frames: UInt8[np.ndarray, "t h w c"],
    interval: tuple[int, int, int],
    n: int,
    *,
    step: float = 1.0,
    context: int = 0,
) -> tuple[UInt8[np.ndarray, "{n} h w c"], tuple[int, int, int], int]:
    """Frames of a recording as they are, `step` of its frames apart, up to `context`
    frames on either side of onset..offset, as far as there are.

    Returns `n` frames, the last of them black where there are fewer; where onset, apex
    and offset are among them, each at the frame that is nearest in time; and how many
    were there.

    Raises: ValueError unless 0 <= onset <= apex <= offset < t, if `step` is below 1, or
    if there are more than `n`.
    """
    onset, apex, offset = interval
    if not 0 <= onset <= apex <= offset < len(frames):
        raise ValueError(
            f"{onset=}, {apex=}, {offset=}: must rise within 0..{len(frames) - 1}"
        )
    first, last = max(onset - context, 0), min(offset + context, len(frames) - 1)
    times = first + native_times(last - first + 1, step)
    if len(times) > n:
        raise ValueError(f"{len(times)} frames are more than {n=}")
    made = np.zeros((n, *frames.shape[1:]), np.uint8)
    made[: len(times)] = frames[times]
    nearest = [int(np.argmin(np.abs(times - moment))) for moment in interval]
    return made, (nearest[0], nearest[1], nearest[2]), len(times)


def native_times(t: int, step: float) -> Int[np.ndarray, " n"]:
    """The frames of 0..t-1 that are nearest to each multiple of `step` frames.

    Raises: ValueError if `step` is below 1, where frames would be repeated.

    >>> native_times(10, 2.4)
    array([0, 2, 5, 7])
    """
    if step < 1:
        raise ValueError(f"{step=} must be at least 1")
    times = np.floor(np.arange(int((t - 0.5) / step) + 1) * step + 0.5).astype(int)
    return times[times < t]


def resample(
    frames: UInt8[np.ndarray, "t h w c"],
    interval: tuple[int, int, int],
    n: int,
    method: Method,
    *,
    name: str = "",
    padding: Filling = "repeat",
    context: int = 0,
    window: Window = "centred",
) -> tuple[UInt8[np.ndarray, "s h w c"], tuple[int, int, int]]:
    """A clip of `n` frames, and where onset, apex and offset are in it.

    `none` keeps every frame, `apex-window` looks at the whole clip, `whole` also at
    the `context` frames on either side of onset..offset, as far as there are, and the
    other methods at onset..offset alone. Each of the three moments goes to the frame
    that is nearest in time. `random-sorted` depends on `name`, and the `window` of
    `apex-window` is as in `apex_window`. With `padding` of zeros,
    black frames stand where frames would be repeated because a clip has too few.

    Raises: ValueError unless 0 <= onset <= apex <= offset < t.
    """
    onset, apex, offset = interval
    if not 0 <= onset <= apex <= offset < len(frames):
        raise ValueError(
            f"{onset=}, {apex=}, {offset=}: must rise within 0..{len(frames) - 1}"
        )
    if method == "none":
        return frames, interval
    if method == "apex-window":
        wanted = _window(apex, n, len(frames), window)
        made, times = _take(frames, wanted, 0, len(frames) - 1, padding)
    elif method in ("uniform", "random-sorted"):
        wanted = (
            _uniform(onset, offset, n)
            if method == "uniform"
            else _random_sorted(onset, offset, n, name)
        )
        made, times = _take(frames, wanted, onset, offset, padding)
    else:
        wider = context if method == "whole" else 0
        first, last = max(onset - wider, 0), min(offset + wider, len(frames) - 1)
        made = (tim if method == "tim" else linear)(frames[first : last + 1], n)
        times = first + _even(last - first + 1, n)
    nearest = [int(np.argmin(np.abs(times - moment))) for moment in interval]
    return made, (nearest[0], nearest[1], nearest[2])


def _take(
    frames: UInt8[np.ndarray, "t h w c"],
    wanted: Int[np.ndarray, " n"],
    first: int,
    last: int,
    padding: Filling,
) -> tuple[UInt8[np.ndarray, "n h w c"], Float64[np.ndarray, " n"]]:
    """The frames of `wanted` numbers, those beyond first..last padded; their times."""
    made = frames[np.clip(wanted, first, last)]
    if padding == "zeros":
        made[(wanted < first) | (wanted > last)] = 0
    return made, wanted.astype(np.float64)


def _even(t: int, n: int) -> Float64[np.ndarray, " n"]:
    return np.linspace(0, t - 1, n)


def _uniform(onset: int, offset: int, n: int) -> Int[np.ndarray, " n"]:
    """As `uniform`; repeated frames are counted on, so that numbers always rise."""
    t = offset - onset + 1
    steps = np.arange(n)
    if t < n:
        return onset - (n - t) // 2 + steps
    return onset + (2 * steps + 1) * t // (2 * n)


def _random_sorted(onset: int, offset: int, n: int, name: str) -> Int[np.ndarray, " n"]:
    there = np.arange(onset, offset + 1)
    if len(there) <= n:
        return _uniform(onset, offset, n)
    return np.sort(generator(name).choice(there, n, replace=False))


def _window(apex: int, n: int, t: int, window: Window) -> Int[np.ndarray, " n"]:
    first = apex - n // 2
    if window == "inside":
        first = min(max(first, min(0, t - n)), max(0, t - n))
    return first + np.arange(n)
