"""Numbered frames: checked without decoding, and decoded."""

import bisect
import functools
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from data_builders.disk import ENDINGS, looking
from jmer.data.asking import data_option
from jmer.errors import JmerError

Crop = Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "n n 3"]]


def nearest(known: Sequence[int], number: int) -> int:
    """The one of the sorted numbers that is nearest, the lower one of two."""
    at = bisect.bisect_left(known, number)
    return min(known[max(0, at - 1) : at + 1], key=lambda n: abs(n - number))


def damage(path: Path) -> str:
    """What can be seen to be wrong with an image file without decoding it."""
    start, end = ENDINGS[path.suffix.lower()]
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return "is no file"
        size = about.st_size
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(max(0, size - 64))
            tail = file.read()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not size:
        return "is empty"
    if not head.startswith(start):
        return f"is no {path.suffix[1:].upper()} image"
    short_bmp = start == b"BM" and int.from_bytes(head[2:6], "little") > size
    if end not in tail or short_bmp:
        return "is truncated"
    return ""


def decode(
    paths: Iterable[Path], cut: Crop | None = None
) -> UInt8[np.ndarray, "t h w 3"]:
    """Frames in RGB, of each only what `cut` makes of it, if given.

    Raises: JmerError naming the file that is no image, shows nothing or is of another
    size.
    """
    with ThreadPoolExecutor() as pool:
        frames = list(pool.map(functools.partial(_decode, cut=cut), paths))
    shapes = {shape: path for path, shape, _ in frames}
    if len(shapes) > 1:
        (one, first), (two, second) = list(shapes.items())[:2]
        raise JmerError(
            f"{first} is {one[1]}x{one[0]}, but {second} of the same clip is "
            f"{two[1]}x{two[0]}. Restore the published files."
        )
    blank = [path for path, _, frame in frames if frame.min() == frame.max()]
    if blank:
        more = f" ({len(blank)} such files)" if len(blank) > 1 else ""
        raise JmerError(
            f"{blank[0]} shows nothing: all of its pixels are alike{more}. Restore the "
            f"file, or delete it and choose "
            f"{data_option('missing_frames', 'neighbour')}."
        )
    return np.stack([frame for *_, frame in frames])


def _decode(path: Path, cut: Crop | None) -> tuple[Path, tuple[int, int], np.ndarray]:
    with looking(path):
        content = np.frombuffer(path.read_bytes(), np.uint8)
    try:
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except cv2.error:  # more pixels than OpenCV believes
        image = None
    if image is None:
        raise JmerError(
            f"{path} cannot be decoded ({content.size} bytes). Restore the file."
        )
    shape = (image.shape[0], image.shape[1])
    if cut is not None:
        image = cut(image)
    return path, shape, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def ranges(numbers: Iterable[int]) -> Iterator[str]:
    """'3-5', '9' for 3, 4, 5, 9."""
    ordered = sorted(numbers)
    start = 0
    for i in range(len(ordered)):
        if i + 1 == len(ordered) or ordered[i + 1] != ordered[i] + 1:
            first, last = ordered[start], ordered[i]
            yield str(first) if first == last else f"{first}-{last}"
            start = i + 1
