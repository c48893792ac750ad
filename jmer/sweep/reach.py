"""How far an option on the command line reaches: which rows of a sweep set a field."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jmer.experiment import Experiment

PLACES = ("data.manual_dir", "data.data_dir")
"""Where data lie: rows with a data set of their own have theirs beside the base's."""


def changes(before: Experiment, after: Experiment) -> dict[str, Any]:
    """The fields that differ, by dotted name, with their values in `after`; a whole
    part where it is of another kind.
    """
    found: dict[str, Any] = {}
    for name in _names(after):
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if _is_part(new) and type(old) is type(new):
            for inner in _names(new):
                if getattr(old, inner) != getattr(new, inner):
                    found[f"{name}.{inner}"] = getattr(new, inner)
        else:
            found[name] = new
    return {name: value for name, value in found.items() if name not in PLACES}


def sets(base: Experiment, name: str, values: Sequence[Any], field: str) -> bool:
    """Whether `name`, which a sweep gives these values, decides `field`.

    A whole part decides the fields in which it differs from that of `base`, those that
    this one lacks too.
    """
    if name == field:
        # A part that is the base's own decides nothing.
        ours = getattr(base, name, None) if "." not in name else None
        return not _is_part(ours) or any(value != ours for value in values)
    part, _, inner = field.partition(".")
    if name.startswith(f"{field}."):  # a field of the part that was changed as a whole
        return True
    if name != part:
        return False
    ours = getattr(getattr(base, part), inner)
    return any(getattr(value, inner, ours) != ours for value in values)


def reached(name: str, value: Any, changed: Mapping[str, Any]) -> Any:
    """The value of a row's `name`, where it is a whole part with what was changed of
    the base, as far as it has such fields.

    Raises: UsageError if it cannot have the value.
    """
    if not _is_part(value):
        return value
    if name in changed:
        return changed[name]
    own = {
        field: new
        for dotted, new in changed.items()
        for part, _, field in [dotted.partition(".")]
        if part == name and field in _names(value)
    }
    return dataclasses.replace(value, **own)


def _names(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part)]


def _is_part(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)
