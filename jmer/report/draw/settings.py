"""Matplotlib under its own settings, whatever a user's notebook or files ask of it."""

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from jmer.errors import JmerError

BACKEND, FILE = "MPLBACKEND", "MATPLOTLIBRC"


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """The settings that Matplotlib comes with, while the block (or, as a decorator, the
    function) draws; afterwards those of the user are as they were.

    `matplotlibrc`, styles and a notebook's settings change no figure: they may ask for
    TeX or fonts that are not there.

    Raises: JmerError if Matplotlib cannot be loaded.
    """
    matplotlib = _loaded()
    # The backend stays what it is: figures here have the Agg canvas. Nor are deprecated
    # settings news to anybody who did not write them.
    defaults = dict(matplotlib.rcParamsDefault)
    defaults.pop("backend", None)
    with matplotlib.rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
            matplotlib.rcParams.update(defaults)
        yield


def _loaded() -> ModuleType:
    """Matplotlib, also where its environment variables and files are broken."""
    if (there := sys.modules.get("matplotlib")) is not None:
        return there
    backend = os.environ.get(BACKEND)
    # That of a notebook may be unknown here, and ends the import.
    try:
        matplotlib = _imported({BACKEND: None})
    except Exception:  # of a damaged file of settings: with Matplotlib's own instead
        matplotlib = _imported_anyhow({BACKEND: None, FILE: _own_file()})
    if backend:
        # What the user's own figures are shown with, where it is known.
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend
    return matplotlib


def _imported_anyhow(change: Mapping[str, str | None]) -> ModuleType:
    try:
        return _imported(change)
    except Exception as error:  # whatever its files make of it
        raise JmerError(
            f"Matplotlib, which draws the figures, cannot be loaded ({error}). If "
            f"{Path('matplotlibrc').absolute()} is there, mend or rename it; else "
            f"install Matplotlib again."
        ) from error


def _imported(change: Mapping[str, str | None]) -> ModuleType:
    try:
        with _environment(change), _quiet():
            return importlib.import_module("matplotlib")
    except BaseException:
        # Or the parts that were loaded are missed by the next try.
        for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
            del sys.modules[name]
        raise


def _own_file() -> str | None:
    """The `matplotlibrc` that comes with Matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    return str(Path(spec.origin).parent / "mpl-data" / "matplotlibrc")


@contextlib.contextmanager
def _environment(change: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in change}
    try:
        _set(change)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Matplotlib logs of settings that do not count here."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
