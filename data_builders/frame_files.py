"""Frames of a clip, of images or of a video, decoded; and runs of their numbers."""

import bisect
import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from data_builders import image_files, video_files
from data_builders.disk import looking
from data_builders.video_files import VideoFrame
from jmer.data.asking import data_option
from jmer.data.image_size import MOST_PIXELS, pixels_of
from jmer.data.machine import cores
from jmer.data.parallel import shared_pool
from jmer.data.problems import Unusable

# Its own count knows of no group of version 2.
cv2.setNumThreads(min(cv2.getNumThreads(), cores()))

# What is wrong with a file is said once, by an error that names it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

Crop = Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "n n 3"]]
Frame = Path | VideoFrame


def damage(frame: Frame) -> str:
    """What can be seen to be wrong with a frame without decoding it."""
    # What a video says of its frames was read when they were counted.
    return "" if isinstance(frame, VideoFrame) else image_files.damage(frame)


def depth(frame: Frame) -> tuple[int, int]:
    """As `image_files.depth`; pictures of videos are read with 8 bits."""
    return (8, 0) if isinstance(frame, VideoFrame) else image_files.depth(frame)


def nearest(known: Sequence[int], number: int) -> int:
    """The one of the sorted numbers that is nearest, the lower one of two."""
    at = bisect.bisect_left(known, number)
    return min(known[max(0, at - 1) : at + 1], key=lambda n: abs(n - number))


def decode(
    paths: Sequence[Frame], cut: Crop | None = None, *, bits: int = 16, moving: str = ""
) -> UInt8[np.ndarray, "t h w 3"]:
    """Frames in RGB, of each only what `cut` makes of it, if given.

    Of values with 16 bits, the lower `bits` count, and their upper 8 are kept.

    Raises: JmerError naming the file that is no image, shows nothing, is of another
    size or has more bits; or the clip `moving`, if its frames are all one picture.
    """
    frames = list(_decoded(paths, cut, bits))
    shapes = {one.shape: one.path for one in frames}
    if len(shapes) > 1:
        (first, path), (second, other) = list(shapes.items())[:2]
        raise Unusable(
            f"{path} is {first[1]}x{first[0]}, but {other} of the same clip is "
            f"{second[1]}x{second[0]}. Restore the published files.",
            "frames of different sizes",
        )
    blank = [one.path for one in frames if one.pixels.min() == one.pixels.max()]
    if blank:
        more = f" ({len(blank)} such files)" if len(blank) > 1 else ""
        raise Unusable(
            f"{blank[0]} shows nothing: all of its pixels are alike{more}. Restore the "
            f"file, or delete it and choose "
            f"{data_option('missing_frames', 'neighbour')}.",
            "frames that show nothing",
        )
    if moving and len({one.content for one in frames}) == 1:
        raise Unusable(
            f"{paths[0]} to {paths[-1].name} of clip {moving} are one and the same "
            f"picture, in which nothing moves. Restore the published files, or remove "
            f"the row.",
            "clips in which nothing moves",
        )
    return np.stack([one.pixels for one in frames])


class _Frame(NamedTuple):
    path: Frame
    shape: tuple[int, int]
    content: int
    """A checksum of the whole picture."""
    pixels: UInt8[np.ndarray, "h w 3"]


def _decoded(frames: Sequence[Frame], cut: Crop | None, bits: int) -> Iterator[_Frame]:
    filmed = [frame for frame in frames if isinstance(frame, VideoFrame)]
    if not filmed:
        # Clips are decoded side by side already, and each thread holds a whole frame.
        one_by_one = functools.partial(_decode, cut=cut, bits=bits)
        yield from shared_pool().map(
            one_by_one, [f for f in frames if isinstance(f, Path)]
        )
        return
    made = {
        frame.index: _seen(frame, picture, cut)
        for frame, picture in video_files.pictures(filmed)
    }
    yield from (made[frame.index] for frame in filmed)


def _decode(path: Path, cut: Crop | None, bits: int) -> _Frame:
    # OpenCV's order of colours, until it is small.
    seen = _seen(path, _image(path, bits), cut)
    return seen._replace(pixels=cv2.cvtColor(seen.pixels, cv2.COLOR_BGR2RGB))


def _seen(frame: Frame, image: np.ndarray, cut: Crop | None) -> _Frame:
    shape, content = (image.shape[0], image.shape[1]), zlib.crc32(image.tobytes())
    return _Frame(frame, shape, content, image if cut is None else cut(image))


def _image(path: Path, bits: int) -> UInt8[np.ndarray, "h w 3"]:
    """In the order of OpenCV, which keeps the upper 8 of 16 bits."""
    if bits == 16:
        return _pixels(path, cv2.IMREAD_COLOR)
    image = _pixels(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint8:
        return image
    if (most := int(image.max())) >= 2**bits:
        raise Unusable(
            f"{path} has values up to {most}, more than {bits} bits can hold. Choose "
            f"another {data_option('bits')}.",
            "values of too many bits",
        )
    return (image >> (bits - 8)).astype(np.uint8)


def picture(path: Path, bits: int = 16) -> UInt8[np.ndarray, "h w 3"]:
    """One image in RGB, whatever it shows; `bits` as for `decode`.

    Raises: JmerError naming the file that is no image or has more bits.
    """
    return cv2.cvtColor(_image(path, bits), cv2.COLOR_BGR2RGB)


def values(path: Frame) -> np.ndarray:
    """What is stored of an image, of 8 or 16 bits. Raises: JmerError as `decode`."""
    if isinstance(path, VideoFrame):
        return decode([path])[0]
    return _pixels(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)


def _pixels(path: Path, mode: int) -> np.ndarray:
    with looking(path):
        read = path.read_bytes()
    if (pixels := pixels_of(read) or 0) > MOST_PIXELS:
        raise Unusable(
            f"{path} cannot be decoded: it says that it has {pixels:,} pixels, and at "
            f"most {MOST_PIXELS:,} are believed. Restore the file.",
            "frames that cannot be decoded",
        )
    content = np.frombuffer(read, np.uint8)
    try:
        image = cv2.imdecode(content, mode) if content.size else None
    except cv2.error:  # more pixels than OpenCV believes
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise Unusable(
            f"{path} cannot be decoded ({content.size} bytes). Restore the file.",
            "frames that cannot be decoded",
        )
    return image


def ranges(numbers: Iterable[int]) -> Iterator[str]:
    """'3-5', '9' for 3, 4, 5, 9."""
    ordered = sorted(numbers)
    start = 0
    for i in range(len(ordered)):
        if i + 1 == len(ordered) or ordered[i + 1] != ordered[i] + 1:
            first, last = ordered[start], ordered[i]
            yield str(first) if first == last else f"{first}-{last}"
            start = i + 1
