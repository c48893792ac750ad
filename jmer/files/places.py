"""Places as people write them: `~`, `$HOME`, and machines where nobody has a home."""

import atexit
import dataclasses
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jmer.errors import UsageError


def expanded(path: Path) -> Path:
    """The path with `~`, `~user` and `$VARIABLE` written out, as a shell does where
    they begin a word; what is unknown stays as it is.
    """
    text = os.path.expandvars(path)
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no HOME, and nobody of that number or name
        return Path(text)


def expand_fields(config: Any) -> None:
    """Expands all paths in the fields of a dataclass and of those in it, in place: a
    frozen value names the same places as before.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name, None)
        if isinstance(value, Path):
            if (whole := expanded(value)) != value:
                object.__setattr__(config, field.name, whole)
        elif isinstance(value, tuple) and any(isinstance(v, Path) for v in value):
            every = tuple(expanded(v) if isinstance(v, Path) else v for v in value)
            object.__setattr__(config, field.name, every)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            expand_fields(value)


def is_known(path: Path) -> bool:
    """Whether it begins with no `~` that stands for nothing here."""
    return not (path.parts and path.parts[0].startswith("~"))


def require_known(path: Path, option: str) -> None:
    """Raises: UsageError if it begins with a `~` that stands for no folder here, or is
    no UTF-8, which libraries that write checkpoints need."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{option}={path}: the name has bytes that are no UTF-8, which checkpoints "
            f"cannot lie below. Rename it, or choose another."
        ) from error
    if not is_known(path):
        raise UsageError(
            f"{option}={path}: no home directory is known for {path.parts[0]} (HOME is "
            f"{os.environ.get('HOME') or 'not set'}). Write the whole path, or "
            f"./{path} for a folder of that name."
        )


def from_environment(variable: str, otherwise: Path) -> Path:
    """The folder that an environment variable names, `otherwise` if none or empty."""
    named = os.environ.get(variable)
    return expanded(Path(named) if named else otherwise)


def user_cache() -> Path:
    """The user's folder of caches; of somebody without a home, one that only this
    process knows: what others can write is not to be believed."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named and (folder := expanded(Path(named))).is_absolute():
        return folder
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return _own_cache()


@functools.cache
def _own_cache() -> Path:
    folder = tempfile.mkdtemp(prefix="jmer-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
