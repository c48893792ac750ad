"""What the command at work calls a data set and its fields, for errors to name them.

`jmer data` knows `--missing-frames`, `jmer run` the same field as
`--data.missing-frames`: whoever raises an error does not know who asked.
"""

import contextlib
import dataclasses
import shlex
import sys
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jmer.data.config import DataConfig
from jmer.errors import option
from jmer.shipped import beside


@dataclass(frozen=True)
class Asked:
    """A command that has a data set's fields among its options."""

    prefix: str = "--"
    """What stands before the name of a field."""
    words: tuple[str, ...] = ()
    """The command as it was typed, after `jmer`; none in Python."""
    file: str = ""
    """The experiment whose data set it is, as it was typed."""
    default: DataConfig | None = None
    """That data set, as the file has it."""
    fixed: bool = False
    """Whether the file alone can change the recipe: it is a sweep over data sets."""


_now = Asked()  # of the process: builders read frames on threads


@contextlib.contextmanager
def asked_as(asked: Asked) -> Iterator[None]:
    """Within it, errors speak to whoever gave that command."""
    global _now
    before, _now = _now, asked
    try:
        yield
    finally:
        _now = before


def data_option(field: str, *values: object) -> str:
    """A field of the data set as it is typed, with values: quoted as a shell needs it.

    >>> data_option("missing_frames", "neighbour")
    '--missing-frames neighbour'
    """
    if _now.fixed and field not in ("manual_dir", "data_dir"):
        shown = "".join(f"={value!r}" for value in values)
        return f"{field}{shown} in {_now.file}"
    return " ".join([f"{_now.prefix}{option(field)}", *map(_quoted, values)])


def source_option() -> str:
    """The option for the folder of the original files; in Python, which has none, that
    of either command."""
    if _now.words:
        return data_option("manual_dir", "DIR")
    return "--data.manual-dir DIR (--manual-dir DIR for `jmer data`)"


def choices(config: DataConfig, field: str) -> tuple[Any, ...]:
    """The values that a field may have, where they can be listed."""
    kind = typing.get_type_hints(type(config))[field]
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def other_choices(config: DataConfig, field: str) -> str:
    """`, or choose another --source: --source raw`, with all that the field may be; ""
    where it can be nothing else."""
    now = getattr(config, field)
    others = [value for value in choices(config, field) if value != now]
    named = " or ".join(data_option(field, value) for value in others)
    return f", or choose another {data_option(field)}: {named}" if named else ""


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isupper() and text.isalpha() else shlex.quote(text)


def command_for(config: DataConfig, action: str, *more: str) -> str:
    """The command of `jmer data` with exactly this data set: every field that is not
    what the command takes by itself is given."""
    module = sys.modules.get(type(config).__module__)
    file = _now.file or getattr(module, "__file__", "")
    base = _now.default or getattr(getattr(module, "EXPERIMENT", None), "data", None)
    if beside.package_of(type(config).__module__) and type(base) is type(config):
        # No other name leads to it than that of the experiment file.
        words, prefix, default = [file], "--data.", base
    else:
        words, prefix, default = [config.word], "--", type(config)()
    words += options(config, default, prefix)
    return f"jmer {shlex.join(['data', action, *words, *more])}"


def options(config: DataConfig, default: DataConfig, prefix: str = "--") -> list[str]:
    """The words that make `config` of `default`."""
    words = list[str]()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value != getattr(default, field.name):
            words += _words(prefix, field.name, value)
    return words


def _words(prefix: str, name: str, value: Any) -> list[str]:
    typed = f"{prefix}{option(name)}"
    if isinstance(value, bool):
        return [typed if value else f"{prefix}no-{option(name)}"]
    values = [str(one) for one in (value if isinstance(value, tuple) else [value])]
    if values and values[0].startswith("-"):
        return [f"{typed}={values[0]}", *values[1:]]
    return [typed, *values]


def without(config: DataConfig, clips: Sequence[str]) -> str:
    """The command at work, typed again so that it leaves out clips too; "" where only
    an edited file does that."""
    if _now.fixed:
        return ""
    every = tuple(dict.fromkeys([*getattr(config, "exclude", ()), *clips]))
    if _now.words:
        typed = f"{_now.prefix}exclude"
        words = list(_now.words)
        new = [clip for clip in every if clip not in words]
        words += [word for clip in new for word in (typed, clip)]
        return f"jmer {shlex.join(words)}"
    return command_for(dataclasses.replace(config, exclude=every), "prepare")  # type: ignore[call-arg]


def check_command() -> str:
    """The command that checks the data set of the experiment at work."""
    if not _now.file:
        return "jmer data check"
    typed, words = list(_now.words), list[str]()
    inside = False
    for word in typed:
        inside = word.startswith("--data.") if word.startswith("-") else inside
        words += [word] if inside else []
    return f"jmer {shlex.join(['data', 'check', _now.file, *words])}"
