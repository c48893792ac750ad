"""Fields of an experiment by dotted name (`model.tab`), and values of their types."""

import ast
import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jmer.errors import UsageError, option, quoted
from jmer.experiment import Experiment


def get_field(experiment: Experiment, name: str) -> Any:
    """The value of a field; None if there is none."""
    value: Any = experiment
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def with_fields(experiment: Experiment, fields: Mapping[str, Any]) -> Experiment:
    """The experiment with other values of some fields; one may be a whole part
    (`model`), to which fields below it (`model.tab`) are applied.

    Raises: UsageError for a field that there is not, or a value that it cannot have.
    """
    changes = {name: checked(experiment, name, fields[name]) for name in _tops(fields)}
    start = dataclasses.replace(experiment, **changes)
    parts: dict[str, dict[str, Any]] = {}
    for name in fields:
        part, dot, field = name.partition(".")
        if dot:
            value = checked(start, name, fields[name])
            parts.setdefault(part, {})[field] = value
    return dataclasses.replace(
        start,
        **{
            part: dataclasses.replace(getattr(start, part), **values)
            for part, values in parts.items()
        },
    )


def _tops(fields: Mapping[str, Any]) -> list[str]:
    return [name for name in fields if "." not in name]


def checked(experiment: Experiment, name: str, value: Any) -> Any:
    """`value`, a whole number as a float where the field is one.

    Raises: UsageError if there is no such field, or it has another type.
    """
    hint = _hint(experiment, name)
    if not _fits(value, hint):
        raise UsageError(
            f"{option(name)}={quoted(value)} must be {_words(hint)}, as "
            f"{option(name)}={get_field(experiment, name)} is"
        )
    return float(value) if hint is float else value


def read_value(experiment: Experiment, name: str, text: str) -> Any:
    """The value of a field that `text` is on the command line.

    Raises: UsageError if there is no such field, or it cannot be that.
    """
    hint = _hint(experiment, name)
    several = tuple(_literal(word) for word in text.split())
    for value in (_literal(text), text, Path(text), several):
        if _fits(value, hint):
            return checked(experiment, name, value)
    return checked(experiment, name, text)


def shown(value: Any) -> str:
    """A value as on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _hint(experiment: Experiment, name: str) -> Any:
    """The type of a field.

    Raises: UsageError, with the fields that there are, if it is none.
    """
    owner: Any = experiment
    *parts, last = name.split(".")
    for part in parts:
        owner = getattr(owner, part, None)
    known = [f.name for f in dataclasses.fields(owner)] if _is_config(owner) else []
    for now, before in getattr(owner, "formerly", {}).items():
        if last == before:
            new = ".".join([*parts, now])
            raise UsageError(f"{option(name)} is called {option(new)} now")
    if last not in known:
        where = f"{'.'.join(parts)} has" if known and parts else "an experiment has"
        known = known or [field.name for field in dataclasses.fields(experiment)]
        raise UsageError(
            f"{option(name)} is no field: {where} {', '.join(map(option, known))}"
        )
    return typing.get_type_hints(type(owner))[last]


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _fits(value: Any, hint: Any) -> bool:
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if kind is Literal:
        return any(value == one and type(value) is type(one) for one in inner)
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        hints = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(value) == len(hints) and all(map(_fits, value, hints))
    if hint in (int, float):
        numbers = (int, float) if hint is float else int
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(hint)))}"
    names = {int: "a whole number", float: "a number", bool: "True or False"}
    names |= {str: "text"}
    if hint in names:
        return names[hint]
    return str(getattr(hint, "__name__", hint) if not typing.get_args(hint) else hint)
