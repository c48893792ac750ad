"""The small size of an experiment: for trying things out, and no result."""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from jmer.data.splits import Loso
from jmer.errors import UsageError, option
from jmer.experiment import Experiment
from jmer.models.base import NetworkConfig
from jmer.sweep.cells import Cell, Sweep
from jmer.sweep.fields import get_field, shown, with_fields

EPOCHS, BATCH = 5, 32
SUBJECTS, CLIPS = 26, 260
"""Those of CASME II, of which most sets that papers use have no more."""
UNKNOWN_SUBJECTS, UNKNOWN_CLIPS = 6, 60
"""With a network that declares no small size."""


def made_small(
    experiment: Experiment, given: Collection[str] = ()
) -> tuple[Experiment, tuple[str, ...]]:
    """The small size of an experiment, and what it changed, in words. Fields that were
    `given`, by dotted name, stay; of a whole part that was given, all of them, but for
    lists of folds.

    Raises: UsageError if what was given does not go with the rest.
    """
    wanted = dict(_wanted(experiment, _own(experiment.model, given)))
    changes = {
        name: value
        for name, value in wanted.items()
        if (name == "protocol" or not {name, name.partition(".")[0]} & {*given})
        and get_field(experiment, name) != value
    }
    words = tuple(
        f"{option(name)} {_word(value)} instead of {_word(get_field(experiment, name))}"
        for name, value in changes.items()
    )
    made = with_fields(dataclasses.replace(experiment, small=True), changes)
    return made, words


def small_cells(
    sweep: Sweep, cells: Iterable[Cell], given: Collection[str]
) -> tuple[list[Cell], tuple[str, ...]]:
    """The cells at a small size, and what that changed in the first of them: what rows
    and values set, and what was `given`, stays."""
    own = {name for name in sweep.fields if "." in name}
    stays = {*given, *own, *sweep.values}
    made = [(cell, made_small(cell.experiment, stays)) for cell in cells]
    words = made[0][1][1] if made else ()
    return [dataclasses.replace(c, experiment=one) for c, (one, _) in made], words


def told(words: Sequence[str]) -> str:
    """What is said of a small size: all that it changed."""
    changed = "; ".join(words) or "nothing had to be changed"
    return f"small size, to try things out and no result to compare: {changed}"


def _wanted(experiment: Experiment, own: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """All that a small size is, by dotted name."""
    for name, value in own.items():
        yield f"model.{name}", value
    yield "epochs", min(experiment.epochs, EPOCHS)
    yield "batch_size", max(experiment.batch_size, BATCH)
    yield "seeds", experiment.seeds[:1]
    # What others trained has other sizes.
    yield from (("variants", ()), ("pretrained", None), ("start_from", None))
    # Lists of clips, of which some are left out, whoever gave them.
    if experiment.protocol.files:
        yield "protocol", Loso()
    # Few people may be of one data set, of which no fold can be made.
    known = bool(experiment.model.small_size) or experiment.protocol.by_set
    subjects = SUBJECTS if known else UNKNOWN_SUBJECTS
    clips = CLIPS if known else UNKNOWN_CLIPS
    part = experiment.extract
    yield "extract.subjects", min(part.subjects or subjects, subjects)
    yield "extract.clips", min(part.clips or clips, clips)
    yield "extract.fitted", True


def _own(network: NetworkConfig, given: Collection[str]) -> dict[str, Any]:
    """The fields of a network's small size that differ from what it has: what is small
    already stays, unless that does not go together."""
    free = [name for name in network.small_size if f"model.{name}" not in given]
    declared = {name: network.small_size[name] for name in free}
    least = {n: _least(getattr(network, n), value) for n, value in declared.items()}
    for fields in (least, declared):
        try:
            dataclasses.replace(network, **fields)
        except UsageError:
            continue
        return fields
    return least  # whose error names the field


def _least(value: Any, most: Any) -> Any:
    """A number, or some, of which none is above what they may be."""
    if isinstance(value, tuple) and isinstance(most, tuple) and len(value) == len(most):
        return tuple(map(_least, value, most))
    numbers = all(isinstance(one, int | float) for one in (value, most))
    return min(value, most) if numbers and not isinstance(value, bool) else most


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if dataclasses.is_dataclass(value):
        return type(value).__name__
    return shown(value) or "none"
