"""What installed packages bring to jmer, by their entry points.

A package announces a class of its own in its metadata:

    [project.entry-points."jmer.networks"]
    two_convs = "their_package.networks:TwoConvsConfig"

`jmer.networks` are networks, `jmer.datasets` data sets. Nothing of the package runs
before that class is asked for.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TypeVar

from jmer.errors import JmerError, shortened

NETWORKS, DATASETS = "jmer.networks", "jmer.datasets"
Base = TypeVar("Base")


@dataclass(frozen=True)
class Brought:
    """A class that a package brings."""

    name: str
    """Of the network or data set."""
    place: str
    """`package.module:Class`."""
    package: str
    """The distribution, and its version."""

    def load(self, base: type[Base]) -> type[Base]:
        """The class; its package is imported.

        Raises: JmerError if that fails, or it is no such class, or is named otherwise.
        """
        module, _, qualified = self.place.partition(":")
        try:
            found = getattr(importlib.import_module(module), qualified, None)
        except (Exception, SystemExit) as error:
            text = shortened(f"{type(error).__name__}: {error}")
            raise self._unusable(f"fails as it is imported ({text})") from error
        if not (isinstance(found, type) and issubclass(found, base)):
            raise self._unusable(f"is no {base.__name__}")
        if (name := getattr(found, "name", None)) != self.name:
            raise self._unusable(f"calls itself {name!r}: both names must be one")
        return found

    def _unusable(self, why: str) -> JmerError:
        name = self.package.partition(" ")[0]
        return JmerError(
            f"{self.name} of the installed package {self.package} ({self.place}) "
            f"{why}. Install a version of it that fits, or remove it: pip uninstall "
            f"{name}"
        )


def brought(group: str) -> list[Brought]:
    """What the installed packages announce in a group, by name; no code runs."""
    found = dict[tuple[str, str], Brought]()
    for one in distributions(path=_paths()):
        for point in one.entry_points.select(group=group):
            made = Brought(point.name, point.value.replace(" ", ""), _title(one))
            found.setdefault((made.name, made.place), made)
    return sorted(found.values(), key=lambda made: (made.name, made.place))


def one_called(name: str, group: str) -> Brought | None:
    """What a package brings under that name.

    Raises: JmerError if several do.
    """
    found = [one for one in brought(group) if one.name == name]
    if len(found) > 1:
        several = ", ".join(f"{one.place} of {one.package}" for one in found)
        raise JmerError(
            f"several installed packages bring {name!r}: {several}. Remove all but one "
            f"with pip uninstall."
        )
    return found[0] if found else None


def _title(one: Distribution) -> str:
    return f"{one.metadata['Name']} {one.version}"


def _paths() -> list[str]:
    """Where packages are installed: all that Python imports from but the folder of
    work, in which a stranger's run may lie."""
    return list(_but_here())


def _but_here() -> Iterator[str]:
    here = Path.cwd().resolve()
    for path in sys.path:
        if os.path.isabs(path) and Path(path).resolve() != here:  # noqa: PTH117
            yield path
