"""Folders of numbered frames: found, checked without decoding, and decoded."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
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


@functools.lru_cache(maxsize=4096)
def children(folder: Path) -> dict[str, Path]:
    """The folders in a folder, by name in lower case."""
    return {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir()}


def find_root(
    base: Path, names: Iterable[str], holds: Callable[[Path], bool]
) -> Path | None:
    """The nearest folder of one of the names, at most `DEPTH` below `base`, that
    `holds` what it should; `base` itself may have any name."""
    if holds(base):
        return base
    wanted = {name.lower() for name in names}
    level = [base]
    for _ in range(DEPTH):
        level = [child for folder in level for child in children(folder).values()]
        for folder in level:
            if folder.name.lower() in wanted and holds(folder):
                return folder
    return None


@functools.lru_cache(maxsize=256)
def numbered(folder: Path) -> dict[int, Path]:
    """The images of a folder by the last number in their names.

    Raises: JmerError if two have the same number.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
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


def forget() -> None:
    """Looks at the disk again from here on."""
    children.cache_clear()
    numbered.cache_clear()


def damage(path: Path) -> str:
    """What can be seen to be wrong with an image file without decoding it."""
    start, end = ENDINGS[path.suffix.lower()]
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        file.seek(max(0, size - 64))
        tail = file.read()
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

    Raises: JmerError naming the file that is no image or of another size.
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
    return np.stack([frame for *_, frame in frames])


def _decode(path: Path, cut: Cut | None) -> tuple[Path, tuple[int, int], np.ndarray]:
    content = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
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
