"""A configuration as one would type it."""

import dataclasses
import shlex
from typing import Any

from jmer.data.config import DataConfig
from jmer.errors import option


def prepare_command(config: DataConfig) -> str:
    """The command that prepares just this set, to be typed as it stands."""
    words = ["jmer", "data", "prepare", config.word]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is not None and value != _default(field):
            words += _typed(option(field.name), value)
    return shlex.join(words)


def _default(field: dataclasses.Field) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _typed(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, tuple | list):
        return [f"--{name}", *map(str, value)]
    # As one word, so that a value that begins with a dash is no option.
    return [f"--{name}={value}"] if str(value).startswith("-") else [
        f"--{name}", str(value)
    ]  # fmt: skip
