"""Configurations from what `experiment.json` says of them, whoever wrote it."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jmer.errors import JmerError, quoted

Made = typing.TypeVar("Made")


def later(kind: type) -> dict[str, Any]:
    """Fields that a configuration did not have when the first runs were made, each with
    the value that does what was done then: what `later` of the kind and of those above
    it says.
    """
    found: dict[str, Any] = {}
    for one in reversed(kind.__mro__):
        found |= vars(one).get("later", {})
    return found


def unasked(config: Any) -> list[str]:
    """Names of the fields of `later` that ask for nothing but what was always done, or
    make no difference (`idle`): what is named by all fields is then named as before."""
    return [
        name
        for name, value in later(type(config)).items()
        if getattr(config, name) == value or name in getattr(config, "idle", ())
    ]


def made_from(
    kind: type[Made], recorded: Mapping[str, Any], file: Path, part: str
) -> Made:
    """The configuration of that `kind` with the fields that a `file` records as its
    `part`; those that came `later` and are not there do what was done before.

    Raises: JmerError, naming file and field, for a field that the kind does not have
    or a value that is of another type; as the kind itself does for one that does not
    fit.
    """
    try:
        hints = typing.get_type_hints(kind)
    except NameError:  # of a class of one's own whose types are for a checker alone
        hints = {}
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {n: v for n, v in later(kind).items() if n in known}
    for name, value in recorded.items():
        where = f"{file}: {part}.{name}"
        if name not in known:
            raise JmerError(
                f"{where} is no field of {kind.__name__}: the file was edited, or "
                f"written by another version of jmer. Use the version that trained it."
            )
        hint = hints.get(name, Any)
        values[name] = restored(hint, value)
        if not _fits(hint, values[name]):
            raise JmerError(
                f"{where} is {quoted(value)}, which is no {_words(hint)}. The "
                f"file was edited or damaged: restore it, or run the experiment again."
            )
    try:
        return kind(**values)
    except JmerError as error:
        raise JmerError(f"{file}: {part} cannot be used: {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise JmerError(
            f"{file}: {part} cannot be used ({error}). The file was edited or damaged: "
            f"restore it, or run the experiment again."
        ) from error


def restored(kind: Any, value: Any) -> Any:
    """A field of a configuration from its JSON value: tuples and paths again."""
    if isinstance(value, list):
        return tuple(restored(None, item) for item in value)
    return Path(value) if Path in _options(kind) and isinstance(value, str) else value


def _options(kind: Any) -> tuple[Any, ...]:
    """What a type may be: the parts of a union, or itself."""
    union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    return typing.get_args(kind) if union else (kind,)


def _fits(kind: Any, value: Any) -> bool:
    return any(_is(one, value) for one in _options(kind))


def _is(kind: Any, value: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return isinstance(value, str | int) and value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(arguments[0], item) for item in value)
        return len(arguments) == len(value) and all(map(_fits, arguments, value))
    if kind in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole or (kind is float and isinstance(value, float))
    if kind in (str, bool, types.NoneType):
        return isinstance(value, kind)
    # What a data set or network of one's own has besides is for it to check.
    return kind is not Path or isinstance(value, Path)


def _words(kind: Any) -> str:
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return " or ".join(
        names.get(one) or str(getattr(one, "__name__", one)) for one in _options(kind)
    )
