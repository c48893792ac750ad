"""What is seen of a prepared set, a part of it or other labels: the set itself stays as
it is."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from jmer.annotations import Int, Shaped
from jmer.data.action_units import MOST_UNIT, with_action_units
from jmer.data.clips import COLUMNS, ClipSet
from jmer.errors import FieldCheck, is_whole

MOVES = {"flow": 2, "apex_flow": 2}
"""Features whose first values of each pixel are ways in pixels, and how many."""
Labels = Int[np.ndarray, " n"]
TOGETHER = 4  # values of a pixel that OpenCV shrinks at once


@dataclasses.dataclass(frozen=True)
class Extract:
    """What a training sees of a prepared set: all of it, unless it says otherwise."""

    subjects: int | None = None
    """At most so many people (default: all): in the order of data sets and names the
    first two of each class, so that folds can train on it, then others at even
    distances. Few of them may all be of one data set."""
    clips: int | None = None
    """At most so many clips, about as many of each person and each class (default:
    all)."""
    fitted: bool = False
    """Whether images that are larger than the network takes are shrunk to what it
    takes, by area; flow stays in pixels."""
    action_units: tuple[int, ...] = ()
    """Label each clip with which of these action units it shows, as its annotation
    says, instead of with a class: 1 2 4 12 (default: the classes of the set)."""

    later: ClassVar[Mapping[str, Any]] = {"action_units": ()}

    def __post_init__(self) -> None:
        check = FieldCheck(self, "extract")
        check.whole("subjects", least=2)
        check.whole("clips", least=2)
        units = self.action_units
        numbers = all(is_whole(unit, 1, MOST_UNIT) for unit in units)
        rule = f"be different numbers from 1 to {MOST_UNIT}, such as 1 2 4 12"
        check.must("action_units", numbers and len({*units}) == len(units), rule)

    def of(self, clips: ClipSet, shapes: Mapping[str, tuple[int, ...]]) -> ClipSet:
        """The part of a set that is asked for, fitted to features of these `shapes`;
        the set itself, where all of it is.

        Raises: JmerError if there are no such labels (`with_action_units`).
        """
        part = self._part(clips, shapes)
        units = self.action_units
        return with_action_units(part, units) if units else part

    def _part(self, clips: ClipSet, shapes: Mapping[str, tuple[int, ...]]) -> ClipSet:
        chosen = self._chosen(clips)
        small = {
            name: shape
            for name, shape in shapes.items()
            if self.fitted and name in clips.inputs
            if _shrinks(clips.inputs[name].shape[1:], shape)
        }
        if len(chosen) == len(clips) and not small:
            return clips
        index = np.array(chosen, np.int64)
        names = (*COLUMNS, "label")
        return dataclasses.replace(
            clips,
            inputs={
                name: _rows(name, array, index, small.get(name))
                for name, array in clips.inputs.items()
            },
            **{name: getattr(clips, name)[index] for name in names},
        )

    def _chosen(self, clips: ClipSet) -> list[int]:
        """The rows of the part, in their order."""
        people: dict[tuple[str, str], list[int]] = {}
        for i, (dataset, subject, _) in enumerate(clips.names):
            people.setdefault((dataset, subject), []).append(i)
        kept = list(people.values())
        if self.subjects is not None and self.subjects < len(kept):
            kept = [kept[i] for i in _spread(kept, clips.label, self.subjects)]
        # Each person's first clip, then each one's second, until there are enough.
        turns = [_mixed(own, clips.label) for own in kept]
        columns = itertools.zip_longest(*turns)
        rows = [i for column in columns for i in column if i is not None]
        return sorted(rows[: self.clips])


def _spread(people: list[list[int]], label: Labels, most: int) -> list[int]:
    """Who is chosen: two of each class, or a fold could not train on all of them; then
    others at even distances."""
    chosen: dict[int, None] = {}
    for one in sorted({int(label[i]) for own in people for i in own}):
        having = [at for at, own in enumerate(people) if one in label[own]]
        have = sum(at in chosen for at in having)
        others = [at for at in having if at not in chosen]
        chosen |= dict.fromkeys(others[: max(0, 2 - have)])
    rest = [at for at in range(len(people)) if at not in chosen]
    more = min(max(0, most - len(chosen)), len(rest))
    even = np.linspace(0, len(rest) - 1, more).round().astype(int)
    return sorted([*list(chosen)[:most], *(rest[i] for i in even)])


def _mixed(own: list[int], label: Labels) -> list[int]:
    """A person's clips such that the first ones are of as many classes as there are,
    the rarest of the set first."""
    turn: dict[int, int] = {}
    ranked = []
    for i in own:
        at = turn[label[i]] = turn.get(label[i], -1) + 1
        ranked.append((at, int((label == label[i]).sum()), int(label[i]), i))
    return [i for *_, i in sorted(ranked)]


def _shrinks(stored: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether images of one shape become smaller ones, and nothing else."""
    if len(stored) != len(wanted) or len(stored) < 3 or stored == wanted:
        return False
    same = stored[:-3] == wanted[:-3] and stored[-1] == wanted[-1]
    sides = zip(stored[-3:-1], wanted[-3:-1], strict=True)
    return same and all(one >= other for one, other in sides)


def fitted(
    name: str, array: Shaped[np.ndarray, "..."], shape: tuple[int, ...]
) -> Shaped[np.ndarray, "..."]:
    """A feature of one clip in the shape that a network takes, if it is larger images
    of that."""
    if not _shrinks(array.shape, shape):
        return array
    height, width = shape[-3:-1]
    return shrunk(array, (height, width), MOVES.get(name, 0))


def _rows(
    name: str,
    array: Shaped[np.ndarray, "n ..."],
    index: Int[np.ndarray, " m"],
    shape: tuple[int, ...] | None,
) -> Shaped[np.ndarray, "m ..."]:
    if shape is None:
        return array[index]
    made = np.empty((len(index), *shape), array.dtype)
    for row, i in enumerate(index.tolist()):  # one by one: the set may lie on a disk
        made[row] = fitted(name, array[i], shape)
    return made


def shrunk(
    images: Shaped[np.ndarray, "... h w c"], size: tuple[int, int], moves: int = 0
) -> Shaped[np.ndarray, "... H W c"]:
    """Images shrunk to `size` (rows, columns), each pixel the mean of its area, of the
    same type; the first `moves` values of a pixel are ways in pixels (right, down)."""
    import cv2  # which nothing else of training needs

    *outer, height, width, values = images.shape
    flat = images.reshape(-1, height, width, values)
    made = np.empty((len(flat), *size, values), np.float32)
    for i, image in enumerate(flat.astype(np.float32)):
        for first in range(0, values, TOGETHER):
            part = image[..., first : first + TOGETHER]
            small = cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA)
            made[i, ..., first : first + TOGETHER] = small.reshape(*size, -1)
    if moves:
        made[..., :moves] *= np.array([size[1] / width, size[0] / height], np.float32)
    if images.dtype.kind in "iu":
        made = np.rint(made)
    return made.reshape(*outer, *size, values).astype(images.dtype)
