"""Labels that say which action units a clip shows, from its annotation."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from jmer.annotations import Bool
from jmer.data.clips import ClipSet
from jmer.data.facs import parse_action_units
from jmer.errors import JmerError

MOST_UNIT = 99
"""Action units have two digits."""
NAMED = 12


def unit_name(unit: int) -> str:
    """What an action unit is called among classes: `AU12`."""
    return f"AU{unit}"


def units_of(text: str) -> set[int]:
    """The numbers of the action units of an annotation, whatever their side and
    intensity; one that is doubtful counts, descriptors and head movements do not.

    Raises: ValueError quoting what is no code.

    >>> sorted(units_of("R12B + 5, M58, 4 or 9"))
    [4, 5, 12]
    """
    return {unit.number for unit in parse_action_units(text) if unit.kind == "AU"}


def with_action_units(clips: ClipSet, units: Sequence[int]) -> ClipSet:
    """The set with a label [n, k] that says which of `units` each clip shows, and their
    names as classes. A clip without any of them shows none.

    Raises: JmerError if an annotation is no list of codes, or no clip shows one of the
    units, naming those that clips do show.
    """
    shown = [_units_of(clips, i) for i in range(len(clips))]
    label: Bool[np.ndarray, "n k"] = np.array(
        [[unit in own for unit in units] for own in shown], bool
    )
    if lacking := [unit for i, unit in enumerate(units) if not label[:, i].any()]:
        raise JmerError(_none_of(clips, lacking, shown))
    return dataclasses.replace(
        clips, classes=tuple(unit_name(unit) for unit in units), label=label
    )


def _units_of(clips: ClipSet, i: int) -> set[int]:
    try:
        return units_of(str(clips.action_units[i]))
    except ValueError as error:
        raise JmerError(
            f"{clips.name}: action units of clip {clips.clip_id[i]} of subject "
            f"{clips.subject[i]}: {error}. Correct the annotation, then prepare the "
            f"set again."
        ) from error


def _none_of(clips: ClipSet, lacking: Sequence[int], shown: Sequence[set[int]]) -> str:
    named = ", ".join(unit_name(unit) for unit in lacking)
    counts = Counter(unit for own in shown for unit in own)
    if not counts:
        return (
            f"{clips.name} says of no clip which action units it shows, so "
            f"extract.action_units has nothing to label it by. Take a data set that "
            f"does, such as casme2, or leave the option out."
        )
    known = " ".join(str(unit) for unit, _ in counts.most_common(NAMED))
    return (
        f"no clip of {clips.name} shows {named}, so nothing can learn it. Leave it out "
        f"of --extract.action-units; clips show, commonest first: {known}."
    )
