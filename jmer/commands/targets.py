"""The data sets that a command is about: by name, by place, or of an experiment."""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jmer import shipped
from jmer.commands.parsing import parse, read_name
from jmer.data.asking import Asked, asked_as
from jmer.data.config import DataConfig

if TYPE_CHECKING:
    from jmer.sweep.cells import Sweep

T = TypeVar("T", bound="OfExperiment")


@dataclasses.dataclass(frozen=True)
class OfExperiment:
    """Options that name the fields of a data set as `jmer run` does."""

    of_experiment: ClassVar[bool] = True
    data: DataConfig
    """The data set of the experiment."""


def targets(
    command: str,
    words: list[str],
    by_name: Callable[[DataConfig], Any],
    of_experiment: Callable[[DataConfig], Any],
) -> Iterator[Any]:
    """The options of `jmer data COMMAND`, once for each data set that it is about.

    `by_name` and `of_experiment` make the options' defaults from a data set. While one
    is worked on, errors name its fields as this command does.
    """
    if words and _is_experiment(words[0]):
        yield from _of_file(command, words, of_experiment)
        return
    config, rest = _by_name(command, words)
    default = by_name(config)
    prog = f"jmer data {command} {shlex.quote(config.word)}"
    options = parse(type(default), prog, rest, default)
    with asked_as(Asked(words=("data", command, *words))):
        yield options


def asking(sweep: "Sweep", words: list[str], file: str) -> Asked:
    """What a command that runs an experiment calls the fields of its data set."""
    changed = {*sweep.values, *(f for row in sweep.rows.values() for f in row)}
    return Asked(
        prefix="--data.",
        words=tuple(words),
        file=file,
        default=sweep.base.data,
        fixed=any(name.partition(".")[0] == "data" for name in changed),
    )


def _of_file(
    command: str, words: list[str], make: Callable[[DataConfig], Any]
) -> Iterator[Any]:
    from jmer.sweep.cells import load_sweep

    sweep = load_sweep(shipped.find(words[0]))
    default = make(sweep.base.data)
    prog = f"jmer data {command} {shlex.quote(words[0])}"
    options = parse(type(default), prog, words[1:], default)
    asked = asking(sweep, ["data", command, *words], words[0])
    base = dataclasses.replace(sweep.base, data=options.data)
    cells = sweep.over(base, ()).cells
    for data in dict.fromkeys(cell.experiment.data for cell in cells):
        with asked_as(asked):
            yield dataclasses.replace(options, data=data)


def _is_experiment(word: str) -> bool:
    from data_builders import datasets

    if word in {kind.name for kind in datasets()} or word.startswith("-"):
        return False
    with contextlib.suppress(OSError):
        if Path(word).is_file() or word.endswith(".py"):
            return True
    return word in shipped.experiments_in(shipped.folder())


def _by_name(command: str, words: list[str]) -> tuple[DataConfig, list[str]]:
    """Of ours, of an installed package, or at a place: `package.module:Name`, or
    `FILE.py:Name`."""
    from data_builders import datasets
    from jmer.data.find import config_at
    from jmer.own.packages import DATASETS, brought, one_called

    found = {kind.name: kind for kind in datasets()}
    if words and ":" in words[0]:
        return config_at(words[0])(), words[1:]
    if words and words[0] not in found and (one := one_called(words[0], DATASETS)):
        return one.load(DataConfig)(), words[1:]
    there = [*found, *dict.fromkeys(one.name for one in brought(DATASETS))]
    name, words = read_name(f"data {command}", "the data set", there, words)
    return found[name](), words
