"""Trainings that differ in values only, and so share one compiled program."""

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from jmer.errors import UsageError, option

Values = Mapping[str, Any]
"""Numbers, or arrays of them, by name of the field (`optim.lr`)."""
C = TypeVar("C")


def check_variant(text: str, parts: Mapping[str, Any]) -> None:
    """Raises: UsageError as `parse_variant`, for a variant that is none."""
    parse_variant(text, parts)


def parse_variant(text: str, parts: Mapping[str, Any]) -> dict[str, float]:
    """The values of one variant, from `optim.lr=1e-3,model.lambda-l1=0`.

    `parts` are the configurations by name; each says in `values` which of its fields
    may vary.

    Raises: UsageError for a field that is none of them, or a value it cannot have.

    >>> from jmer.optim import AdamConfig
    >>> parse_variant("optim.lr=1e-4,optim.weight-decay=0.1", {"optim": AdamConfig()})
    {'optim.lr': 0.0001, 'optim.weight_decay': 0.1}
    """
    fields = [f"{p}.{name}" for p, config in parts.items() for name in config.values]
    values: dict[str, float] = {}
    for item in text.split(","):
        written, equals, number = (word.strip() for word in item.partition("="))
        name = written.replace("-", "_")
        if not equals or name not in fields or name in values:
            raise UsageError(
                f"variants: {item.strip()!r} is none: write FIELD=NUMBER, several with "
                f"commas, each field once. Those that can vary in one program are "
                f"{', '.join(map(option, fields))}; for any other, run "
                f"the experiment again with it."
            )
        try:
            values[name] = float(number)
        except ValueError:
            raise UsageError(f"variants: {item.strip()!r} is no number") from None
        if not math.isfinite(values[name]):
            raise UsageError(f"variants: {item.strip()!r} must be finite")
        part, field = name.split(".")
        # Whatever the field may not be, it may not be here.
        dataclasses.replace(parts[part], **{field: values[name]})
    return values


def columns(
    variants: Sequence[Mapping[str, float]], parts: Mapping[str, Any]
) -> dict[str, list[float]]:
    """The value of every field that varies, for each variant."""
    found = {}
    for name in sorted({name for values in variants for name in values}):
        part, field = name.split(".")
        usual = getattr(parts[part], field)
        found[name] = [values.get(name, usual) for values in variants]
    return found


def with_values(config: C, part: str, values: Values) -> C:
    """`config` with the values of its part in place of its own, arrays or numbers."""
    changed = copy.copy(config)
    for name, value in values.items():
        owner, field = name.split(".")
        if owner == part:
            # Not `replace`: its checks cannot look into an array that is traced.
            object.__setattr__(changed, field, value)
    return changed
