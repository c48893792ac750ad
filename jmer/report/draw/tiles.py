"""What there is to see of a prepared clip, as small images with captions."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from jmer.data.clips import ClipSet
from jmer.errors import UsageError
from jmer.preprocess.flow_colours import flow_colours
from jmer.scores.labels import kind_of

SAID = ("onset", "apex", "offset")
SPECIAL = {
    "sf": ("onset", "apex"),
    "apex-offset": ("apex", "offset"),
    "random2": ("random", "random"),
    "of": ("tracks to apex", "tracks to offset"),
    "dense": ("flow to apex", "flow to offset"),
}
"""What a recipe's special images are."""


@dataclass(frozen=True)
class Tile:
    """An image, RGB, and what it is."""

    caption: str
    image: UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Card:
    """A clip."""

    title: str
    """What it shows."""
    lines: tuple[str, ...]
    """Who, when, and what moved."""
    tiles: tuple[tuple[Tile, ...], ...]
    """Rows of images."""


def spread_over_classes(
    clips: ClipSet, count: int, classes: Sequence[str] = ()
) -> list[int]:
    """`count` clips, or all if there are fewer, in the order of labels.

    Each of `classes` (all if none is named) gives a clip in turn: the first one whose
    subject was shown least, and of these whose data set was, in that class and in all.

    Raises: UsageError for a class that the set lacks, or that has no clip.
    """
    for name in classes:
        if name not in clips.classes:
            raise UsageError(
                f"class={name}: {clips.name} has {', '.join(clips.classes)}"
            )
        if not (clips.label == clips.classes.index(name)).any():
            raise UsageError(f"class={name}: {clips.name} has no clip of that class")
    wanted = [i for i, name in enumerate(clips.classes) if name in (classes or [name])]
    left = {label: np.flatnonzero(clips.label == label).tolist() for label in wanted}
    shown: collections.Counter[object] = collections.Counter()
    chosen: list[int] = []
    while len(chosen) < count and any(left.values()):
        for label in wanted:
            if not left[label] or len(chosen) == count:
                continue
            known = {i: _known_by(clips, i) for i in left[label]}
            pick = min(known, key=lambda i: [shown[name] for name in known[i]])
            left[label].remove(pick)
            chosen.append(pick)
            shown.update(known[pick])
    return sorted(chosen, key=lambda i: (clips.label[i], i))


def _known_by(clips: ClipSet, i: int) -> list[object]:
    """What a clip shares with others, by how much it matters that they differ."""
    dataset = str(clips.dataset[i])
    return [("subject", clips.subject[i]), (clips.label[i], dataset), dataset]


def card(clips: ClipSet, i: int, special: str = "none") -> Card:
    """Clip `i`: its frames and other images in a line, and flow below the frames.

    `special` is the field of the recipe that says which special images there are.
    """
    inputs = {name: array[i] for name, array in clips.inputs.items()}
    moments = _moments(clips, i)
    images, motion = list[Tile](), list[Tile]()
    fastest = 0.0
    if "clip" in inputs:
        frames = inputs["clip"]
        numbers = instants(moments, len(frames))
        images += [Tile(_called(k, moments), frames[k]) for k in numbers]
    if "flow" in inputs:
        fields, fastest = _coloured(inputs["flow"])
        last = len(fields) - 1
        # From each frame on; nothing is known of what comes after the last one.
        starts = sorted({min(k, last) for k in instants(moments, last + 2)})
        motion += [Tile(f"flow {k} to {k + 1}", fields[k]) for k in starts]
    if "apex_flow" in inputs:
        made, fastest = _apex_tiles(inputs["apex_flow"])
        images += made
    if "special" in inputs:
        names = SPECIAL.get(special, ("special 1", "special 2"))
        images += map(Tile, names, inputs["special"])
    return Card(
        title=kind_of(clips.label).texts(clips.label[i : i + 1], clips.classes)[0],
        lines=tuple(_about(clips, i, fastest)),
        tiles=tuple(tuple(line) for line in (images, motion) if line),
    )


def instants(moments: Sequence[int], length: int) -> list[int]:
    """Frames to show: onset, apex and offset, two on the way up and one on the way
    down; of clips that do not say, six from the first to the last.
    """
    onset, apex, offset = moments
    if min(moments) < 0 or offset >= length:
        return sorted({round(float(k)) for k in np.linspace(0, length - 1, 6)})
    up, down = apex - onset, offset - apex
    between = (onset + up / 3, onset + 2 * up / 3, apex + down / 2)
    return sorted({*moments, *(round(k) for k in between)})


def _apex_tiles(array: np.ndarray) -> tuple[list[Tile], float]:
    """Flow and strain, and the largest speed in pixels, if that is known."""
    if array.dtype == np.uint8:  # published images, each part stretched by itself
        names = ("right", "down", "strain")
        return [Tile(name, _grey(array[..., k])) for k, name in enumerate(names)], 0.0
    fields, fastest = _coloured(array[None, ..., :2])
    strain = array[..., 2].astype(np.float32)
    largest = float(strain.max())
    shades = np.rint(255 * strain / (largest or 1)).astype(np.uint8)
    return [
        Tile("flow to apex", fields[0]),
        Tile(f"strain to {largest:.2g}", _grey(shades)),
    ], fastest


def _about(clips: ClipSet, i: int, fastest: float) -> list[str]:
    """Who, when and what moved."""
    composite = clips.dataset[i] != clips.name
    who = [clips.dataset[i]] * composite + [clips.subject[i], clips.clip_id[i]]
    moments = _moments(clips, i)
    when = [f"{name} {k}" for name, k in zip(SAID, moments, strict=True) if k >= 0]
    what = [f"AU {clips.action_units[i]}"] if clips.action_units[i] else []
    what += [f"fastest {fastest:.2g} px"] if fastest else []
    return ["  ".join(parts) for parts in (who, when, what)]


def _moments(clips: ClipSet, i: int) -> tuple[int, ...]:
    return tuple(int(getattr(clips, name)[i]) for name in SAID)


def _called(k: int, moments: Sequence[int]) -> str:
    names = [name for name, at in zip(SAID, moments, strict=True) if at == k]
    return " ".join(["/".join(names) or "frame", str(k)])


def _coloured(flow: np.ndarray) -> tuple[UInt8[np.ndarray, "n h w 3"], float]:
    flow = flow.astype(np.float32)
    return flow_colours(flow), float(np.linalg.norm(flow, axis=-1).max())


def _grey(shades: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.repeat(shades[..., None], 3, axis=-1)
