"""Modules beside an experiment file, which import as `python FILE` would let them.

Each folder has a package of its own, under a name that nobody else uses, and what is
imported from it gets an `import` that looks into that folder first. So no other module
sees what lies there, and files of one name in two folders stay two modules. What jmer
stands on is never looked for beside a file.
"""

import builtins
import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "jmer_beside_"
OURS = {"jmer", "data_builders"}


def execute(path: Path, name: str) -> ModuleType:
    """The module of a Python file, run under `name`, with what lies beside it.

    Raises: ImportError for what is no Python file; else what the file raises.
    """
    beside = _package(path.resolve().parent)
    loader = _Loader(name, str(path), beside)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or path.suffix != ".py":
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Where Python, and what reads the docstrings of its classes for --help, looks.
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def plain_name(module: str) -> str:
    """The name of a module as the file beside it imports it."""
    return module.partition(".")[2] if module.startswith(PREFIX) else module


def is_beside(module: str) -> bool:
    """Whether a module is known by the file that it lies in, or lies beside, alone."""
    return module.startswith(PREFIX) or bool(package_of(module))


def imported(path: Path) -> ModuleType:
    """The module of a Python file, as a file beside it, or beside the package that it
    is in, imports it.

    Raises: ImportError for what is no Python file; else what the file raises.
    """
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise ImportError(f"{path} is no Python file")
    names, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names, folder = [folder.name, *names], folder.parent
    if names[-1] == "__init__" and len(names) > 1:
        names.pop()
    return importlib.import_module(".".join([_package(folder), *names]))


def package_of(module: str) -> str:
    """The package of what lies beside a file that was run under a name; "" of others"""
    loader = getattr(sys.modules.get(module), "__loader__", None)
    return loader.package if isinstance(loader, _Loader) else ""


def loaded(module: str) -> list[str]:
    """The names in `sys.modules` of those that are called `module` by whom they lie
    beside, or by everybody."""
    return [name for name in sys.modules if plain_name(name) == module]


class _Loader(SourceFileLoader):
    """Runs a file with the `import` of its folder."""

    def __init__(self, name: str, path: str, package: str) -> None:
        super().__init__(name, path)
        self.package = package

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = _builtins(self.package)
        super().exec_module(module)


class _Finder:
    """Finds the modules of our packages, for whoever imports them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        if not name.startswith(PREFIX) or path is None:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            assert spec.origin is not None
            spec.loader = _Loader(name, spec.origin, name.partition(".")[0])
        return spec


def _package(folder: Path) -> str:
    """The name of the package that stands for a folder; made where it is not there."""
    place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    name = f"{PREFIX}{place}"
    if name not in sys.modules:
        if not any(finder is _Finder for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder)
        # As of a package whose `__init__` is empty: none is read. TFDS asks that of a
        # builder where it lies.
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
    return name


@functools.cache
def _builtins(package: str) -> dict[str, Any]:
    """What Python provides, with an `import` that looks into a package's folder."""
    (folder,) = sys.modules[package].__path__

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not _lies_beside(top, folder):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = importlib.import_module(f"{package}.{name}")
        if not fromlist:
            return sys.modules[f"{package}.{top}"]
        # Names of submodules, too, are imported by being listed.
        return builtins.__import__(found.__name__, globals, locals, fromlist, 0)

    return {**vars(builtins), "__import__": import_}


def _lies_beside(top: str, folder: str) -> bool:
    """Whether a file imports the module of that name that lies in its folder."""
    if top in OURS or top in sys.stdlib_module_names:
        return False
    beside = PathFinder.find_spec(top, [folder])
    if beside is None or (top in sys.modules and _installed(sys.modules[top])):
        return False
    usual = PathFinder.find_spec(top)
    if usual is not None and beside.origin is None:  # a folder without `__init__`
        return False
    # Where everybody finds the same file, it is one module and keeps its name.
    return usual is None or usual.origin is None or usual.origin != beside.origin


def _installed(module: ModuleType) -> bool:
    """Whether it was installed, or is built in."""
    origin = getattr(module, "__file__", None)
    if origin is None:
        return not hasattr(module, "__path__")
    paths = sysconfig.get_paths()
    return any(Path(origin).is_relative_to(paths[p]) for p in ("purelib", "platlib"))
