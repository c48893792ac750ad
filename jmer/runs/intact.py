"""Whether the files of a run are what jmer wrote, and of one run."""

import dataclasses
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmer.data.splits import protocols
from jmer.errors import JmerError
from jmer.files import Changed, Unreadable, read_sealed
from jmer.files.digest import Written, differs
from jmer.files.lock import tell
from jmer.files.seal import State
from jmer.runs.again import again
from jmer.runs.folder import (
    CHECKPOINTS,
    CHECKSUMS,
    DESCRIPTION,
    METRICS,
    NEEDED,
    PREDICTIONS,
    PROGRESS,
    RUN,
    SUMS,
    first_difference,
    require_idle,
)
from jmer.runs.lines import read_lines
from jmer.runs.older import renewed
from jmer.scores.metrics import seed_mean
from jmer.scores.predictions import Predictions
from jmer.text import did_you_mean

TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Flaw:
    """A file of a run that is not what it must be."""

    file: Path
    what: str
    remedy: str
    harmless: bool = False
    """Whether no number depends on it."""

    def __str__(self) -> str:
        return f"{self.file} {self.what}. {self.remedy}"


def require_finished(folder: Path, content: Callable[[str], Any]) -> None:
    """Raises: JmerError naming what a run lacks of what a report needs; `content` reads
    one of its files by name."""
    for name in (METRICS, DESCRIPTION):
        if not (folder / name).is_file():
            require_idle(folder)
            raise no_run(folder, name)
        found = content(name)
        have = found if isinstance(found, dict) else {}
        if missing := [key for key in NEEDED[name] if key not in have]:
            require_idle(folder)
            raise JmerError(
                f"{folder / name} has no {', '.join(missing)}: it was edited, or "
                f"written by another version of jmer. Type "
                f"{again(folder, _about(folder))} again, which keeps what is trained "
                f"and writes it anew."
            )
    if not (folder / PREDICTIONS).is_file():
        require_idle(folder)
        raise JmerError(
            f"{folder} has no {PREDICTIONS}: it is no finished run; run "
            f"{again(folder, content(DESCRIPTION))} again."
        )


def _about(folder: Path) -> dict[str, Any]:
    """The description of a run as far as it can be read: what it says is printed."""
    try:
        return _read(folder / DESCRIPTION)[0]
    except JmerError:
        return {}


def no_run(folder: Path, name: str) -> JmerError:
    """Why a folder that lacks the file `name` is no finished run, and what would be."""
    beside = [f for f in folder.absolute().parent.glob("*") if (f / METRICS).is_file()]
    place = shlex.quote(str(folder))
    missing = f"{folder} has no {name}: it is no finished run"
    if not folder.exists():
        near = did_you_mean(folder.name, [run.name for run in beside])
        return JmerError(
            f"{missing}, since that folder does not exist{near}. `jmer run FILE "
            f"--run-dir {place}` makes one."
        )
    if (folder / DESCRIPTION).is_file():
        return JmerError(
            f"{missing}; run {again(folder, _about(folder))} again, which goes on "
            f"where it stopped."
        )
    if any((folder / other).exists() for other in (METRICS, CHECKPOINTS)):
        return JmerError(
            f"{missing}, and does not say what it is the run of. Restore the file from "
            f"a copy, or run {again(folder, {})} again, which keeps what is trained "
            f"and writes it anew."
        )
    inside = sorted(f for f in folder.glob("*") if (f / DESCRIPTION).is_file())
    if inside:
        done = [f for f in inside if (f / METRICS).is_file()]
        runs = ", ".join(shlex.quote(str(run)) for run in (done or inside)[:4])
        none = "" if done else ", none of them finished"
        return JmerError(f"{missing}, but holds some{none}. Give one: {runs}.")
    return JmerError(
        f"{missing}. Give the folder that `jmer run` wrote, runs/NAME if no other was "
        f"asked for."
    )


def checksums(folder: Path) -> bool | None:
    """Whether a run has checksums; None if only a part has, as of one that an older
    version began."""
    about, sealed = _read(folder / DESCRIPTION)
    if about.get(CHECKSUMS) == "all":
        return True
    states = {sealed, _read(folder / METRICS)[1]}
    return False if states == {"none"} else None


def require_intact(folder: Path) -> None:
    """Says what is gone of a finished run without harm.

    Raises: Changed if a file of it was changed after the run.
    """
    for flaw in flaws(folder):
        require_idle(folder)
        if not flaw.harmless:
            raise Changed(str(flaw))
        tell(str(flaw))


def flaws(folder: Path) -> Iterator[Flaw]:
    """What was changed in a run after it was written, as far as checksums tell, or
    contradicts itself. Files that are gone are not looked for.

    Raises: JmerError if a file cannot be read at all.
    """
    about, found = _read(folder / DESCRIPTION)
    complete = about.get(CHECKSUMS) == "all"
    command = again(folder, about)
    restore = (
        f"A run is not edited by hand: restore the file from a copy, or type "
        f"{command} again, which writes it anew if it is the same experiment."
    )
    if told := _told(found, required=complete):
        yield Flaw(folder / DESCRIPTION, told, restore)
    if told := _contradiction(about):
        yield Flaw(folder / DESCRIPTION, f"contradicts itself ({told})", restore)
    results = (
        f"Results are not edited: restore the file from a copy, or type {command} "
        f"again, which keeps what is trained and writes it anew."
    )
    try:
        metrics, found = _read(folder / METRICS)
    except Unreadable as error:
        yield Flaw(folder / METRICS, f"is not valid JSON ({error.reason})", results)
        return
    there = (folder / METRICS).is_file()
    if there and (told := _told(found, required=complete)):
        yield Flaw(folder / METRICS, told, results)
    if None not in (own := about.get(RUN), its := metrics.get(RUN)) and own != its:
        what = f"is of another run than {DESCRIPTION} beside it"
        yield Flaw(folder / METRICS, what, results)
    yield from _differing(folder / PREDICTIONS, metrics, results)
    log = "Restore it from a copy, or do without"
    if (folder / PROGRESS).is_file():
        log += ": remove what is left of it"
    yield from _differing(folder / PROGRESS, metrics, f"{log}.")


def require_whole(log: Path) -> None:
    """Raises: Changed if a line of a log is damaged, or some are gone since the run was
    finished."""
    for _ in read_lines(log):
        pass
    try:
        metrics = _read(log.with_name(METRICS))[0]
    except (
        Unreadable
    ):  # what cannot be read says nothing of the log, and is written anew
        return
    remedy = "Restore it from a copy, or remove what is left of it, and start again."
    for flaw in _differing(log, metrics, remedy):
        if not flaw.harmless:
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


def _differing(file: Path, metrics: Mapping[str, Any], remedy: str) -> Iterator[Flaw]:
    sums = metrics.get(SUMS)
    if not isinstance(sums, dict) or file.name not in sums:
        return
    if not file.is_file():
        harmless = file.name == PROGRESS
        curves = ": there are no curves of how the run learned" if harmless else ""
        yield Flaw(file, f"is gone{curves}", remedy, harmless)
        return
    try:
        then = Written(
            bytes=int(sums[file.name]["bytes"]), sha256=sums[file.name]["sha256"]
        )
    except (TypeError, KeyError, ValueError):
        yield Flaw(file, "has a checksum that is none", remedy)
        return
    told = differs(file.read_bytes(), then, more=file.name == PROGRESS)
    if told:
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
    for name in _files_of(both.get("protocol")):
        both["protocol"].pop(name, None)
    told = first_difference(both, _common(experiment, both))
    if told is None:
        return None
    said = told.removesuffix(" here").replace(" there and ", " in its identity and ", 1)
    return f"{said} in its experiment"


def _files_of(protocol: Any) -> Collection[str]:
    """The fields of a protocol that may name a file; of one that is the user's own, and
    unknown here, all."""
    if not isinstance(protocol, dict):
        return ()
    kinds = {kind.__name__: kind for kind in protocols().values()}
    kind = kinds.get(protocol.get("kind", ""))
    return kind.files if kind else [*protocol]


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
    """Raises: Changed if scores are not those of the predictions that are `shown`; for
    whoever sealed them without those, they stand for themselves."""
    if SUMS not in metrics and _read(folder / METRICS)[1] == "kept":
        return
    seeds, seed = np.unique(shown.seed, return_inverse=True)
    kind, axes = shown.kind, ((seed, len(seeds)),)
    confusion = kind.by(axes, shown.label, shown.predicted, len(shown.classes))
    made = {name: float(seed_mean(m, confusion)) for name, m in kind.metrics.items()}
    for name, value in made.items():
        stated = metrics.get(name)
        if isinstance(stated, int | float) and not abs(stated - value) <= TOLERANCE:
            raise Changed(
                f"{folder / METRICS} says {name} {stated:.6g}, but the predictions "
                f"beside it have {value:.6g}: one of them was changed after the run. "
                f"Restore both from a copy, or run the experiment again."
            )
