"""What the words of a command say of an experiment."""

from collections.abc import Collection, Sequence

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


def require_read(given: Collection[str], experiments: Sequence[Experiment]) -> None:
    """Raises: UsageError for a field that was `given` and makes no difference in any of
    the experiments: whoever gives it expects one."""
    unread = [experiment.unread for experiment in experiments]
    for name in sorted(given):
        if unread and all(name in found for found in unread):
            raise UsageError(
                f"{option(name)}={shown(get_field(experiments[0], name))} makes no "
                f"difference as the other options are: add {unread[0][name]}, or leave "
                f"it out"
            )
