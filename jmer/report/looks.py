"""Small pictures of the clips that a run most often gets wrong, kept in its folder.

They are made while the prepared set is at hand; a report reads them from the run alone,
which may be on another machine by then, or from somebody else.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.files import json_bytes, make_folder, write_group
from jmer.files.digest import Written, differs, recorded, written
from jmer.files.lock import tell
from jmer.files.seal import state
from jmer.runs.folder import SUMS
from jmer.scores.labels import UNITS
from jmer.scores.predictions import Predictions

if TYPE_CHECKING:
    from jmer.data.clips import ClipSet
    from jmer.report.draw.tiles import Tile

FOLDER, INDEX = "thumbnails", "thumbnails.json"
HARD_CLIPS = 15
SIDE, APART = 64, 4  # pixels of a picture, and between two
LARGEST = 100_000  # bytes; they have a few thousand
LEFT_OUT = (
    "the report leaves it out. Restore it from a copy, or type the command of the run "
    "again, which draws it anew."
)
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
        wrong = ~p.right[index]
        trust = trust_of(p, index)
        if wrong.any():
            found.append((-wrong.mean(), trust, key, index))
    found.sort(key=lambda row: row[:3])
    return [(key, index) for _, _, key, index in found[:HARD_CLIPS]]


def trust_of(p: Predictions, index: Sequence[int]) -> float:
    """The mean probability of the truth of some rows; of action units, of what is true
    of each of them."""
    label, shares = p.label[index], p.probabilities[index]
    if p.kind is UNITS:
        return float(np.where(label, shares, 1 - shares).mean())
    return float(shares[np.arange(len(label)), label].mean())


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
    for old in folder.glob("[0-9][0-9].png"):
        old.unlink(missing_ok=True)
    contents = {f"{i:02d}.png": picture for i, (_, picture) in enumerate(made)}
    index = {
        "clips": [list(key) for key, _ in made],
        SUMS: {name: written(content) for name, content in contents.items()},
    }
    write_group(folder, {**contents, INDEX: json_bytes(index)})


def looks(run_dir: Path, say: Callable[[str], object] = tell) -> dict[Key, bytes]:
    """The pictures that a run has, as PNG; what is damaged or leads elsewhere is left
    out: the run may be a stranger's. Of what was changed since it was drawn, `say` is
    told.
    """
    folder = run_dir / FOLDER
    if folder.is_symlink():
        return {}
    told = _index(folder / INDEX)
    if state(told) == "broken":
        say(f"{folder / INDEX} is not what jmer wrote there: {LEFT_OUT}")
        return {}
    found = {}
    for i, key in enumerate(_keys(told)):
        file = folder / f"{i:02d}.png"
        picture, then = _read(file), _written(told, file.name)
        if key is None or picture is None or not picture.startswith(PNG):
            continue
        if then is not None and (why := differs(picture, then)):
            say(f"{file} is not what jmer drew there ({why}): {LEFT_OUT}")
            continue
        found[key] = picture
    return found


def _index(file: Path) -> Any:
    try:
        return json.loads(_read(file) or b"{}")
    except (ValueError, RecursionError):
        return {}


def _written(index: Any, name: str) -> Written | None:
    sums = index.get(SUMS)
    return recorded(sums.get(name)) if isinstance(sums, dict) else None


def _keys(index: Any) -> list[Key | None]:
    told = index.get("clips") if isinstance(index, dict) else None
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
