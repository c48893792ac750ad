"""Whether the files of a run are what jmer wrote, and of one run."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.files import Changed, read_sealed
from jmer.files.digest import Written, differs
from jmer.files.seal import State
from jmer.runs.folder import (
    CHECKSUMS,
    DESCRIPTION,
    METRICS,
    PREDICTIONS,
    PROGRESS,
    RUN,
    SUMS,
    first_difference,
    require_idle,
)
from jmer.runs.lines import read_lines
from jmer.runs.older import renewed
from jmer.scores.metrics import METRICS as SCORES
from jmer.scores.metrics import seed_mean
from jmer.scores.predictions import Predictions

TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Flaw:
    """A file of a run that is not what it must be."""

    file: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file} {self.what}. {self.remedy}"


def checksums(folder: Path) -> bool | None:
    """Whether a run has checksums; None if only a part has, as of one that an older
    version began."""
    about, sealed = _read(folder / DESCRIPTION)
    if about.get(CHECKSUMS) == "all":
        return True
    states = {sealed, _read(folder / METRICS)[1]}
    return False if states == {"none"} else None


def require_intact(folder: Path) -> None:
    """Raises: Changed if a file of a finished run was changed after the run."""
    for flaw in flaws(folder):
        require_idle(folder)
        raise Changed(str(flaw))


def flaws(folder: Path) -> Iterator[Flaw]:
    """What was changed in a run after it was written, as far as checksums tell, or
    contradicts itself. Files that are gone are not looked for.

    Raises: JmerError if a file cannot be read at all.
    """
    about, found = _read(folder / DESCRIPTION)
    complete = about.get(CHECKSUMS) == "all"
    restore = (
        "A run is not edited by hand: restore the file from a copy, or type the "
        "command of the run again, which writes it anew if it is the same experiment."
    )
    if told := _told(found, required=complete):
        yield Flaw(folder / DESCRIPTION, told, restore)
    if told := _contradiction(about):
        yield Flaw(folder / DESCRIPTION, f"contradicts itself ({told})", restore)
    again = (
        f"Results are not edited: restore the file from a copy, or type "
        f"`{about.get('command', 'jmer run …')}` again, which keeps what is trained "
        f"and writes it anew."
    )
    metrics, found = _read(folder / METRICS)
    if metrics and (told := _told(found, required=complete)):
        yield Flaw(folder / METRICS, told, again)
    if None not in (own := about.get(RUN), its := metrics.get(RUN)) and own != its:
        what = f"is of another run than {DESCRIPTION} beside it"
        yield Flaw(folder / METRICS, what, again)
    sums = metrics.get(SUMS)
    for name in (PREDICTIONS, PROGRESS):
        if isinstance(sums, dict) and name in sums:
            yield from _differing(folder / name, sums[name], again)


def require_whole(log: Path) -> None:
    """Raises: Changed if a line of a log is damaged, or some are gone since the run was
    finished."""
    for _ in read_lines(log):
        pass
    sums = _read(log.with_name(METRICS))[0].get(SUMS)
    if isinstance(sums, dict) and log.name in sums:
        for flaw in _differing(log, sums[log.name], ""):
            raise Changed(str(flaw))


def _read(file: Path) -> tuple[dict[str, Any], State]:
    if not file.is_file():
        return {}, "none"
    content, found = read_sealed(file)
    content = renewed(content)
    return content if isinstance(content, dict) else {}, found


def _told(found: State, *, required: bool) -> str | None:
    if found == "broken":
        return "was changed after jmer wrote it: its checksum does not fit"
    if found == "none" and required:
        return "has lost its checksum: something else wrote it"
    return None


def _differing(file: Path, then: Written, again: str) -> Iterator[Flaw]:
    if not file.is_file():
        return
    more = file.name == PROGRESS
    if told := differs(file.read_bytes(), then, more=more):
        remedy = again
        if more:
            remedy = (
                "Restore it from a copy, or remove it: the report then shows no "
                "curves, and all else stays."
            )
        yield Flaw(file, f"was changed after the run ({told})", remedy)


def _contradiction(about: Mapping[str, Any]) -> str | None:
    """Where the identity of a run says otherwise than its experiment."""
    identity, experiment = about.get("identity"), about.get("experiment")
    if not isinstance(identity, dict) or not isinstance(experiment, dict):
        return None
    both = _common(identity, experiment)
    # The type is resolved in the one alone, and files count there by their content.
    for name in ("dtype", "pretrained", "start_from"):
        both.pop(name, None)
    told = first_difference(both, _common(experiment, both))
    if told is None:
        return None
    said = told.removesuffix(" here").replace(" there and ", " in its identity and ", 1)
    return f"{said} in its experiment"


def _common(value: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `value` that `other` has too, within parts as well."""
    return {
        name: _common(x, other[name])
        if isinstance(x, dict) and isinstance(other[name], dict)
        else x
        for name, x in value.items()
        if name in other
    }


def require_scores(
    folder: Path, metrics: Mapping[str, Any], shown: Predictions
) -> None:
    """Raises: Changed if scores are not those of the predictions that are `shown`."""
    seeds, seed = np.unique(shown.seed, return_inverse=True)
    k = len(shown.classes)
    confusion = np.zeros((len(seeds), k, k), np.int64)
    np.add.at(confusion, (seed, shown.label, shown.predicted), 1)
    made = {name: float(seed_mean(m, confusion)) for name, m in SCORES.items()}
    for name, value in made.items():
        stated = metrics.get(name)
        if isinstance(stated, int | float) and not abs(stated - value) <= TOLERANCE:
            raise Changed(
                f"{folder / METRICS} says {name} {stated:.6g}, but the predictions "
                f"beside it have {value:.6g}: one of them was changed after the run. "
                f"Restore both from a copy, or run the experiment again."
            )
