"""Folders of numbered frames: found, checked without decoding, and decoded."""

import bisect
import contextlib
import functools
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from jmer.errors import JmerError

Cut = Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "n n 3"]]

ENDINGS = {
    ".jpg": (b"\xff\xd8", b"\xff\xd9"),
    ".jpeg": (b"\xff\xd8", b"\xff\xd9"),
    ".png": (b"\x89PNG", b"IEND"),
    ".bmp": (b"BM", b""),
}
"""What an image file starts with, and what its last bytes contain."""
DEPTH = 3


@contextlib.contextmanager
def looking(path: Path) -> Iterator[None]:
    """Turns an `OSError` met while reading `path` into one clear error.

    Raises: JmerError naming the path, the system's reason and the remedy.
    """
    try:
        yield
    except OSError as error:
        raise JmerError(
            f"cannot read {path}: {error.strerror or error}. Restore it, or make it "
            f"readable."
        ) from error


@functools.lru_cache(maxsize=4096)
def folders(folder: Path) -> tuple[Path, ...]:
    """The folders in a folder. Raises: JmerError if it cannot be looked into."""
    with looking(folder):
        return tuple(p for p in sorted(folder.iterdir()) if p.is_dir())


@functools.lru_cache(maxsize=4096)
def children(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The folders in a folder, by name in lower case."""
    found: dict[str, tuple[Path, ...]] = {}
    for path in folders(folder):
        name = path.name.lower()
        found[name] = (*found.get(name, ()), path)
    return found


def child(folder: Path, name: str) -> Path | None:
    """The folder of that name in a folder, without regard to case.

    Raises: JmerError if there are two, or the folder cannot be looked into.
    """
    return one_of(children(folder).get(name.lower(), ()))


def one_of(found: Sequence[Path]) -> Path | None:
    """The only one, None if there is none. Raises: JmerError if there are more."""
    if len(found) > 1:
        raise JmerError(
            f"{found[0]} and {found[1]} are named alike. Remove or rename one of the "
            f"two."
        )
    return found[0] if found else None


def find_root(
    base: Path, names: Iterable[str], holds: Callable[[Path], bool]
) -> Path | None:
    """The nearest folder of one of the names, at most `DEPTH` below `base`, that
    `holds` what it should; `base` itself may have any name.

    Raises: JmerError if two at the same depth have the same name; if there is none, and
    a folder could not be looked into.
    """
    if holds(base):
        return base
    level, closed = [base], list[JmerError]()
    for _ in range(DEPTH):
        level = [p for folder in level for p in _opened(folder, closed)]
        for name in names:
            named = [p for p in level if p.name.lower() == name.lower()]
            # Two ways to one folder are no contradiction.
            held = {p.resolve(): p for p in named if _opened(p, closed) and holds(p)}
            if found := one_of(list(held.values())):
                return found
    if closed:
        raise closed[0]
    return None


def _opened(folder: Path, closed: list[JmerError]) -> tuple[Path, ...]:
    """The folders in a folder; why not goes to `closed`."""
    try:
        return folders(folder)
    except JmerError as error:
        closed.append(error)
        return ()


@functools.lru_cache(maxsize=256)
def numbered(folder: Path) -> dict[int, Path]:
    """The images of a folder by the last number in their names.

    Raises: JmerError if two have the same number.
    """
    found: dict[int, Path] = {}
    with looking(folder):
        paths = sorted(folder.iterdir())
    for path in paths:
        numbers = re.findall(r"\d+", path.stem)
        hidden = path.name.startswith(".")
        if hidden or path.suffix.lower() not in ENDINGS or not numbers:
            continue
        number = int(numbers[-1])
        if number in found:
            raise JmerError(
                f"{folder}: {found[number].name} and {path.name} are both frame "
                f"{number}. Remove one of the two."
            )
        found[number] = path
    return found


def nearest(known: Sequence[int], number: int) -> int:
    """The one of the sorted numbers that is nearest, the lower one of two."""
    at = bisect.bisect_left(known, number)
    return min(known[max(0, at - 1) : at + 1], key=lambda n: abs(n - number))


def forget() -> None:
    """Looks at the disk again from here on."""
    folders.cache_clear()
    children.cache_clear()
    numbered.cache_clear()


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
    paths: Iterable[Path], cut: Cut | None = None
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
            f"file, or delete it and choose --missing-frames neighbour."
        )
    return np.stack([frame for *_, frame in frames])


def _decode(path: Path, cut: Cut | None) -> tuple[Path, tuple[int, int], np.ndarray]:
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


def runs(numbers: Iterable[int]) -> Iterator[str]:
    """'3-5', '9' for 3, 4, 5, 9."""
    ordered = sorted(numbers)
    start = 0
    for i in range(len(ordered)):
        if i + 1 == len(ordered) or ordered[i + 1] != ordered[i] + 1:
            first, last = ordered[start], ordered[i]
            yield str(first) if first == last else f"{first}-{last}"
            start = i + 1
