"""Small pictures of the clips that a run most often gets wrong, kept in its folder.

They are made while the prepared set is at hand; a report reads them from the run alone,
which may be on another machine by then, or from somebody else.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.files import make_folder, write_bytes, write_json
from jmer.scores.predictions import Predictions

if TYPE_CHECKING:
    from jmer.data.clips import ClipSet
    from jmer.report.draw.tiles import Tile

FOLDER, INDEX = "thumbnails", "thumbnails.json"
HARD_CLIPS = 15
SIDE, APART = 64, 4  # pixels of a picture, and between two
LARGEST = 100_000  # bytes; they have a few thousand
PNG = b"\x89PNG\r\n\x1a\n"

Key = tuple[str, str, str]
"""Data set, subject and name of a clip."""


def hardest(p: Predictions) -> list[tuple[Key, list[int]]]:
    """The clips that are most often wrong, the worst first, and their rows; of clips
    that are wrong as often, that whose truth is believed least.
    """
    rows: dict[Key, list[int]] = {}
    keys = zip(p.dataset.tolist(), p.subject.tolist(), p.clip.tolist(), strict=True)
    for i, key in enumerate(keys):
        rows.setdefault(key, []).append(i)
    found = []
    for key, index in rows.items():
        wrong = p.predicted[index] != p.label[index]
        trust = p.probabilities[index, p.label[index]].mean()
        if wrong.any():
            found.append((-wrong.mean(), trust, key, index))
    found.sort(key=lambda row: row[:3])
    return [(key, index) for _, _, key, index in found[:HARD_CLIPS]]


def write_looks(run_dir: Path, clips: "ClipSet", p: Predictions, special: str) -> None:
    """Pictures of the clips of `hardest`, as far as there is something to see of them.

    `special` is the field of the recipe that says which special images there are.

    Raises: JmerError if they cannot be written.
    """
    number = {name: i for i, name in enumerate(clips.names)}
    made: list[tuple[Key, bytes]] = []
    for key, _ in hardest(p):
        if key in number and (picture := _picture(clips, number[key], special)):
            made.append((key, picture))
    folder = run_dir / FOLDER
    if not made and not folder.exists():
        return
    make_folder(folder)
    for old in folder.glob("*.png"):
        old.unlink(missing_ok=True)
    for i, (_, picture) in enumerate(made):
        write_bytes(folder / f"{i:02d}.png", picture)
    write_json(folder / INDEX, {"clips": [list(key) for key, _ in made]})


def looks(run_dir: Path) -> dict[Key, bytes]:
    """The pictures that a run has, as PNG; what is damaged or leads elsewhere is left
    out: the run may be a stranger's.
    """
    folder = run_dir / FOLDER
    if folder.is_symlink():
        return {}
    found = {}
    for i, key in enumerate(_keys(folder / INDEX)):
        picture = _read(folder / f"{i:02d}.png")
        if key is not None and picture is not None and picture.startswith(PNG):
            found[key] = picture
    return found


def _keys(index: Path) -> list[Key | None]:
    content = _read(index)
    try:
        told: Any = json.loads(content or b"{}").get("clips", [])
    except (ValueError, AttributeError, RecursionError):
        return []
    named = told[:HARD_CLIPS] if isinstance(told, list) else []
    return [
        (key[0], key[1], key[2])
        if isinstance(key, list) and [*map(type, key)] == [str, str, str]
        else None
        for key in named
    ]


def _read(file: Path) -> bytes | None:
    if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
        return None
    return file.read_bytes()


def _picture(clips: "ClipSet", i: int, special: str) -> bytes | None:
    """None of a clip that has nothing to see, as features of one's own may."""
    import cv2

    from jmer.report.draw.tiles import card

    try:
        tiles = [tile for row in card(clips, i, special).tiles for tile in row]
        images = [_small(tile.image) for tile in _telling(tiles)]
        if not images:
            return None
        gap = np.full((len(images[0]), APART, 3), 255, np.uint8)
        parts = [part for image in images for part in (gap, image)][1:]
        _, coded = cv2.imencode(".png", np.concatenate(parts, axis=1)[..., ::-1])
    except (ValueError, TypeError, IndexError, cv2.error):
        return None
    return coded.tobytes()


def _telling(tiles: Sequence["Tile"]) -> list["Tile"]:
    """Onset and apex; else the first two."""
    for wanted in ("onset", "apex"):
        if not any(wanted in tile.caption for tile in tiles):
            return list(tiles[:2])
    firsts = [next(t for t in tiles if w in t.caption) for w in ("onset", "apex")]
    return firsts[:1] if firsts[0] is firsts[1] else firsts


def _small(image: np.ndarray) -> np.ndarray:
    """No higher than `SIDE`, every pixel as it is or an average of several."""
    import cv2

    height, width = image.shape[:2]
    scale = min(SIDE / height, 3 * SIDE / width)
    if scale >= 1:
        return image
    size = [max(1, round(scale * n)) for n in (width, height)]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
