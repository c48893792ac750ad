"""What the classes of a package state about themselves, read without running it."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def classes(package: str) -> Iterator[dict[str, Any]]:
    """The attributes that are written as plain values in the body of each class of a
    package, and its docstring as `__doc__`; by name of file, then of class.

    Only the packages around this one are imported.
    """
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    (folder,) = spec.submodule_search_locations
    for file in sorted(Path(folder).glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        found = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in sorted(found, key=lambda node: node.name):
            yield {"__doc__": ast.get_docstring(node) or "", **_values(node)}


def _values(node: ast.ClassDef) -> dict[str, Any]:
    values = {}
    for line in node.body:
        match line:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case _:
                continue
        try:
            values[name] = ast.literal_eval(value)
        except ValueError:  # an expression: it is not plain
            continue
    return values
