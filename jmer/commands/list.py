"""What there is: experiments, networks, data sets, layouts and tables."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from jmer.commands.parsing import parse


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """Show what there is."""

    what: tyro.conf.Positional[
        Literal["experiments", "models", "datasets", "layouts", "tables"]
    ]
    """Which things; tables are those of papers, with the commands that make them."""
    json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON records."""


def list_(words: list[str]) -> int:
    options = parse(ListOptions, "jmer list", words)
    listings: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "experiments": _experiments,
        "models": _models,
        "datasets": _datasets,
        "layouts": _layouts,
        "tables": _tables,
    }
    records = listings[options.what]()
    if options.json:
        print(json.dumps(records, indent=2))
        return 0
    table = Table(box=None)
    for name in records[0] if records else (options.what,):
        table.add_column(name, overflow="fold")  # names of files stay whole
    for record in records:
        table.add_row(*(str(value) for value in record.values()))
    Console().print(table)
    return 0


def _models() -> list[dict[str, Any]]:
    from jmer.models.base import describe, networks

    return [describe(kind()) for kind in networks()]


def _datasets() -> list[dict[str, Any]]:
    from data_builders import datasets

    records = []
    for kind in datasets():
        config = kind()
        versions = config.data_dir / config.name
        prepared = len(list(versions.glob("*/*/dataset_info.json")))
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        records.append({"name": kind.name, "prepared": prepared, "what": summary})
    return records


def _layouts() -> list[dict[str, Any]]:
    from jmer.synthetic.layouts import LAYOUTS

    docs = {name: kind.__doc__ or "" for name, kind in sorted(LAYOUTS.items())}
    return [{"name": n, "what": doc.splitlines()[0]} for n, doc in docs.items()]


def _tables() -> list[dict[str, Any]]:
    from jmer.papers import TABLES

    return [
        {"name": name, "what": one.title, "jmer run": "\n".join(one.paths)}
        for name, one in TABLES.items()
    ]


def _experiments() -> list[dict[str, Any]]:
    """Files in `./experiments`, or beside the package in a source checkout."""
    import ast

    checkout = Path(__file__).resolve().parents[2] / "experiments"
    folder = next((f for f in (Path("experiments"), checkout) if f.is_dir()), None)
    records = []
    for file in sorted(folder.rglob("*.py")) if folder else []:
        if not re.search(r"^(EXPERIMENT|SWEEP) = ", file.read_text(), re.MULTILINE):
            continue  # a program of its own, such as the benchmark of optical flow
        doc = ast.get_docstring(ast.parse(file.read_text())) or ""
        first = doc.splitlines()[0] if doc else ""
        records.append({"file": str(file), "what": first})
    return records
