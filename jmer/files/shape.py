"""What a JSON file must look like, said once for all who read it.

A `Shape` says of a value what is wrong with it, and where. Files come from anybody:
lists stand where names are wanted, text where numbers are, true where 1 is.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.errors import MOST_COUNT, JmerError, is_whole, quoted

Problem = tuple[str, Any, str]
"""Where in the file (`.per_class.surprise.n`), the value, and what it must be."""
Shape = Callable[[Any], Iterator[Problem]]

EDITED = "The file was edited or damaged: restore it, or write it again."


def checked(value: Any, shape: Shape, file: Path) -> Any:
    """The value of a JSON file, if it has that shape.

    Raises: JmerError naming the file and the first field that does not fit.
    """
    for where, found, rule in shape(value):
        shown = where.removeprefix(".") or "its content"
        raise JmerError(
            f"{file}: {shown} is {_shown(found)}, but must be {rule}. {EDITED}"
        )
    return value


def parse_json(text: str | bytes) -> Any:
    """The value of JSON in UTF-8.

    Raises: ValueError, with a reason, for what is none, has NaN or an infinite number
    in it, half of a letter, or more levels than Python follows.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse_constant)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a letter (a lone surrogate)") from error
    return value


HALF = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


class Missing:
    """Stands for a field that is not there."""


def _shown(value: Any) -> str:
    if value is Missing:
        return "missing"
    if isinstance(value, Mapping):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return quoted(value)


def _is(fits: Callable[[Any], bool], rule: str) -> Shape:
    def check(value: Any) -> Iterator[Problem]:
        if not fits(value):
            yield "", value, rule

    return check


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and neither text nor true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


text = _is(lambda value: isinstance(value, str), "text")
flag = _is(lambda value: isinstance(value, bool), "true or false")
number = _is(is_number, "a finite number")
count = _is(lambda value: is_whole(value, 0, MOST_COUNT), "a whole number from 0 on")
seed = _is(lambda value: is_whole(value, 0, 2**63 - 1), "a whole number from 0 on")
share = _is(lambda v: is_number(v) and 0 <= v <= 1 + 1e-9, "a number from 0 to 1")
positive = _is(lambda v: is_number(v) and v > 0, "a finite number above 0")
seconds = _is(lambda v: is_number(v) and v >= 0, "a finite number that is not below 0")


def optional(shape: Shape) -> Shape:
    """That, or null."""

    def check(value: Any) -> Iterator[Problem]:
        if value is not None:
            yield from shape(value)

    return check


def each(shape: Shape, *, least: int = 0, size: int | None = None) -> Shape:
    """A list of these; of `size` of them, or at least `least`."""

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield "", value, "a list"
        elif len(value) < least or size not in (None, len(value)):
            yield "", value, f"a list of {'at least ' * (size is None)}{size or least}"
        else:
            for i, item in enumerate(value):
                for where, found, rule in shape(item):
                    yield f"[{i}]{where}", found, rule

    return check


def named(shape: Shape) -> Shape:
    """An object whose values are all these."""

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield "", value, "an object"
            return
        for name, item in value.items():
            for where, found, rule in shape(item):
                yield f".{_plain(name)}{where}", found, rule

    return check


def fields(known: Mapping[str, Shape], needed: Sequence[str] = ()) -> Shape:
    """An object; those of its fields that are `known` are checked, and the `needed` of
    them must be there."""

    def check(value: Any) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield "", value, "an object"
            return
        for name in needed:
            if name not in value:
                yield f".{name}", Missing, "there"
        for name, shape in known.items():
            if name in value:
                for where, found, rule in shape(value[name]):
                    yield f".{name}{where}", found, rule

    return check


def both(*shapes: Shape) -> Shape:
    """All of these, one after another: the next is asked once nothing is wrong."""

    def check(value: Any) -> Iterator[Problem]:
        for shape in shapes:
            problems = list(shape(value))
            if problems:
                yield problems[0]
                return

    return check


def _plain(name: str) -> str:
    return name if name.isprintable() and len(name) <= 60 else quoted(name)
