"""Where the code of a data set lies: its configuration, and the builder beside it."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from jmer.data.config import DataConfig
from jmer.errors import JmerError, UsageError, shortened
from jmer.files.places import expanded
from jmer.shipped.beside import imported, loaded, package_of

if TYPE_CHECKING:
    from jmer.data.builder import ClipBuilder


def builder_class(kind: type[DataConfig]) -> "type[ClipBuilder]":
    """The `Builder` in the module `<name>_dataset_builder` of the package in which the
    configuration is defined, or else one that it extends.

    Raises: JmerError if there is no such module, or no builder in it.
    """
    looked = []
    for base in kind.__mro__:
        if not issubclass(base, DataConfig) or base is DataConfig:
            continue
        name = ".".join([*_package(base.__module__), f"{kind.name}_dataset_builder"])
        looked.append(name)
        if importlib.util.find_spec(name) is None:
            continue
        found = getattr(importlib.import_module(name), "Builder", None)
        if not isinstance(found, type):
            raise JmerError(
                f"module {name} has no class Builder: the builder of data set "
                f"{kind.name} is a class of that name that subclasses ClipBuilder."
            )
        return found
    raise JmerError(
        f"data set {kind.name} has no builder: there is no module "
        f"{' or '.join(looked)}. Put a file {kind.name}_dataset_builder.py with a "
        f"class Builder(ClipBuilder) beside the file that defines {kind.__name__}, in "
        f"a folder that Python imports from."
    )


def _package(module: str) -> list[str]:
    """The parts of the name of the package that a module is, or lies in."""
    if "." not in module and (beside := package_of(module)):
        return [beside]
    parts = module.split(".")
    return parts if hasattr(sys.modules.get(module), "__path__") else parts[:-1]


def config_at(place: str) -> type[DataConfig]:
    """The class of configurations that is defined at `package.module:Name`, or in a
    file, `folder/file.py:Name`.

    Raises: JmerError if it cannot be imported, or is no data set.
    """
    module, _, name = place.rpartition(":")
    found = getattr(_module(module, place), name, None)
    if not (isinstance(found, type) and issubclass(found, DataConfig)):
        raise JmerError(
            f"data set {place}: module {module} has no data set of that name. Give "
            f"the version of the package that has it."
        )
    return found


def _module(module: str, place: str) -> ModuleType:
    if module.endswith(".py"):
        file = expanded(Path(module))
        try:
            return imported(file)
        except (Exception, SystemExit) as error:
            text = shortened(f"{type(error).__name__}: {error}")
            raise UsageError(
                f"data set {place}: {file} fails as it is imported ({text}). Correct "
                f"the file."
                if file.is_file()
                else f"data set {place}: there is no file {file}. Give one that is "
                f"there, as FILE.py:CLASS."
            ) from error
    # One that lies beside an experiment file is known by the name that it has there.
    known = loaded(module)
    one = known[0] if len(known) == 1 and module not in known else module
    try:
        return importlib.import_module(one)
    except (ImportError, ValueError) as error:
        raise JmerError(
            f"data set {place} cannot be imported ({error}): install the package that "
            f"has it, put its folder on PYTHONPATH, or give the file, FILE.py:CLASS."
        ) from error
