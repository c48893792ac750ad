"""The same image under the names of two subjects."""

import collections
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from jmer.audit.finding import Finding
from jmer.audit.roster import title
from jmer.audit.sides import sides_note
from jmer.data.clips import ClipSet
from jmer.data.splits import Fold
from jmer.text import counted


def check_images(clips: ClipSet, folds: Sequence[Fold] = ()) -> Finding:
    """Whether clips of two subjects have an input, or a frame of one, in common, byte
    for byte. An image whose pixels are all alike is no evidence. Of pairs that not all
    are on both sides of one of the `folds`, it says how many are.
    """
    owners: dict[bytes, dict[str, tuple[int, str]]] = {}
    for i in range(len(clips)):
        for place, image in _images(clips, i):
            content = np.ascontiguousarray(image)
            digest = hashlib.sha256(f"{content.dtype.str} {content.shape}".encode())
            digest.update(content.data)
            found = owners.setdefault(digest.digest(), {})
            found.setdefault(str(clips.subject[i]), (i, place))
    pairs: dict[tuple[int, int], list[str]] = collections.defaultdict(list)
    for found in owners.values():
        (first, place), *others = found.values()
        for other, _ in others:
            pairs[first, other].append(place)
    rows = tuple(
        {
            "clip": title(clips.names[a]),
            "the same in": title(clips.names[b]),
            "images": len(places),
            "such as": places[0],
        }
        for (a, b), places in sorted(pairs.items())
    )
    if not rows:
        text = (
            f"{counted(len(clips), 'clip')} looked through by hash: no image of one "
            f"subject is also another's."
        )
        return Finding("images", "ok", text)
    text = (
        f"{counted(len(rows), 'pair')} of clips of different subjects have images that "
        f"are the same byte for byte, such as {rows[0]['clip']} and "
        f"{rows[0]['the same in']}: a test clip is then also a training clip."
        f"{sides_note(pairs, folds)}"
    )
    return Finding("images", "violation", text, rows)


def _images(clips: ClipSet, index: int) -> Iterator[tuple[str, np.ndarray]]:
    """What there is to see of a clip, by name: images, and each frame of a sequence.

    Of numbers that are no image, such as an intensity per frame, nothing.
    """
    for name, array in clips.inputs.items():
        value = array[index]
        if value.ndim < 2:
            continue
        frames = value if value.ndim > 3 else value[None]
        for number, frame in enumerate(frames):
            if (frame != frame[:1, :1]).any():
                yield f"{name} {number}" if value.ndim > 3 else name, frame
