"""What the words of a command say of an experiment."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from jmer.errors import UsageError, option
from jmer.experiment import Experiment
from jmer.sweep.fields import get_field, shown


def given_in(words: Sequence[str], experiment: Experiment) -> set[str]:
    """The fields that the words of a command name, by dotted name."""
    found = set()
    for word in words:
        if not word.startswith("--"):
            continue
        name = word[2:].partition("=")[0].replace("-", "_")
        part, dot, field = name.rpartition(".")
        if field.startswith("no_") and get_field(experiment, name) is None:
            field = field.removeprefix("no_")
        found.add(f"{part}{dot}{field}")
    return found


def require_read(
    given: Collection[str],
    experiments: Sequence[Experiment],
    varied: Collection[str] = (),
) -> None:
    """Raises: UsageError for a field that was `given`, by itself or in variants, and
    makes no difference in any of the experiments: whoever gives it expects one. Fields
    that are `varied` in the cells of a sweep are no remedy."""
    unread = [experiment.unread for experiment in experiments]
    names = {*given}
    if "variants" in given:
        names.update(*(v for one in experiments for v in one.variant_values))
    for name in sorted(names):
        if unread and all(name in found for found in unread):
            raise UsageError(
                f"{option(name)}={shown(get_field(experiments[0], name))} makes no "
                f"difference as the other options are: "
                f"{_remedy(unread[0][name], given, varied)}leave it out"
            )


def require_tested(given: Collection[str], experiment: Experiment) -> None:
    """Raises: UsageError for a field that was `given` to a command that tests weights,
    which are trained already: it makes no difference to that."""
    tells = {"data", "protocol", "extract", "small"}
    trains = {field.name for field in fields(experiment)} - tells
    for name in sorted(given):
        if name.partition(".")[0] in trains:
            raise UsageError(
                f"{option(name)}={shown(get_field(experiment, name))} makes no "
                f"difference to weights that are trained already: leave it out"
            )


def _remedy(
    needed: Mapping[str, Any], given: Collection[str], varied: Collection[str]
) -> str:
    """What makes the fields what is needed, in words, and "or" after them; nothing if
    one is set in the cells. A switch that was given has no other word that would turn
    it back."""
    if any(name in varied for name in needed):
        return ""
    switches = [name for name, value in needed.items() if isinstance(value, bool)]
    back = [name for name in switches if name in given]
    added = [w for n, v in needed.items() if n not in back for w in typed(n, v)]
    told = [f"do without {option(name)}={not needed[name]}" for name in back]
    told += [f"add {' '.join(added)}"] if added else []
    return f"{' and '.join(told)}, or " if told else ""


def typed(name: str, value: Any) -> list[str]:
    """A field and its value as words of a command.

    >>> typed("model.sab", False), typed("model.depth", (2, 1, 2))
    (['--model.no-sab'], ['--model.depth', '2', '1', '2'])
    """
    if isinstance(value, bool):
        part, dot, field = name.rpartition(".")
        return [f"--{option(part)}{dot}{'' if value else 'no-'}{option(field)}"]
    values = value if isinstance(value, list | tuple) else [value]
    return [f"--{option(name)}", *map(str, values)]
