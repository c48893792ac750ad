"""What there is: experiments, networks, data sets, layouts and tables."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from rich.console import Console
from rich.table import Table

from jmer import shipped
from jmer.commands.parsing import parse
from jmer.commands.stated import classes
from jmer.data.config import DataConfig
from jmer.errors import JmerError, UsageError, quoted
from jmer.own.packages import DATASETS, NETWORKS, Brought, brought
from jmer.text import did_you_mean

What = Literal["experiments", "models", "datasets", "layouts", "tables"]


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """Show what there is."""

    what: tyro.conf.Positional[What]
    """Which things; tables are those of papers, with the commands that make them."""
    json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print JSON records."""


def list_(words: list[str]) -> int:
    _require_known(words)
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
    if options.what == "experiments":  # a line each, however wide the terminal is
        width = max((len(record["name"]) for record in records), default=0)
        for record in records:
            print(f"{record['name']:{width}}  {record['what']}".rstrip())
        return 0
    if options.what == "tables":  # commands stay whole, to be copied
        for record in records:
            print(f"{record['name']}: {record['what']}")
            for path in record["jmer run"].splitlines():
                print(f"  jmer run {path}")
        return 0
    table = Table(box=None)
    for name in records[0] if records else (options.what,):
        table.add_column(name, overflow="fold")  # names of files stay whole
    for record in records:
        table.add_row(*(str(value) for value in record.values()))
    Console().print(table)
    return 0


def _require_known(words: list[str]) -> None:
    known = ", ".join(get_args(What))
    if not words:
        raise UsageError(f"what to list comes first. usage: jmer list WHAT; {known}")
    if not words[0].startswith("-") and words[0] not in get_args(What):
        near = did_you_mean(words[0], get_args(What))
        raise UsageError(
            f"nothing to list is called {quoted(words[0])}{near}; there are: {known}."
        )


def _models() -> list[dict[str, Any]]:
    """What the files of networks say of them; what they leave out is built and counted,
    which takes JAX. Then those of installed packages.
    """
    records = []
    for stated in classes("jmer.models"):
        if "name" not in stated or "paper" not in stated:
            continue
        if "listed" in stated:
            record = {name: stated[name] for name in ("name", "paper")}
            records.append({**record, **stated["listed"]})
        else:
            from jmer.models.base import default_config, describe

            records.append(describe(default_config(stated["name"])))
    return _with_packages(records, NETWORKS, _described)


def _described(one: Brought) -> dict[str, Any]:
    from jmer.models.base import NetworkConfig, describe

    return describe(one.load(NetworkConfig)())


def _datasets() -> list[dict[str, Any]]:
    from data_builders import datasets

    records = [_prepared(kind) for kind in datasets()]

    def read(one: Brought) -> dict[str, Any]:
        return _prepared(one.load(DataConfig))

    return _with_packages(records, DATASETS, read)


def _prepared(kind: type[DataConfig]) -> dict[str, Any]:
    config = kind()
    versions = config.data_dir / config.name
    prepared = len(list(versions.glob("*/*/dataset_info.json")))
    summary = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
    return {"name": kind.name, "prepared": prepared, "what": summary}


def _with_packages(
    ours: list[dict[str, Any]],
    group: str,
    read: Callable[[Brought], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The records, each with where it is `from`; one that cannot be used says why."""
    records = [{**record, "from": "jmer"} for record in ours]
    names = {record["name"] for record in ours}
    for one in brought(group):
        blank = dict.fromkeys(ours[0], "") | {"name": one.name}
        try:
            record = {**blank, **read(one)}
        except Exception as error:  # of whoever wrote it; the others are listed
            told = str(error) if isinstance(error, JmerError) else repr(error)
            record = {**blank, list(blank)[-1]: f"cannot be used: {told}"}
        of = f"{one.package} ({one.place})"
        if one.name in names:
            of += f", as {one.place} only: jmer has one of that name"
        records.append({**record, "from": of})
    return records


def _layouts() -> list[dict[str, Any]]:
    return [
        {"name": stated["name"], "what": stated["__doc__"].partition("\n")[0]}
        for stated in classes("jmer.synthetic.layouts")
        if "name" in stated
    ]


def _tables() -> list[dict[str, Any]]:
    from jmer.papers import TABLES

    return [
        {"name": name, "what": one.title, "jmer run": "\n".join(one.paths)}
        for name, one in TABLES.items()
    ]


def _experiments() -> list[dict[str, Any]]:
    """Those that come with jmer by name, and files in `./experiments` by path."""
    ours = shipped.folder()
    found = shipped.experiments_in(ours)
    here = Path("experiments")
    if here.is_dir() and not here.samefile(ours):
        files = shipped.experiments_in(here).values()
        found |= {file.as_posix(): file for file in files}
    return [
        {"name": name, "what": shipped.first_line(file), "file": str(file)}
        for name, file in found.items()
    ]
