"""A folder that becomes the run of an experiment, or is found to be that already."""

import contextlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files import Changed, make_folder, read_json, write_json
from jmer.files.lock import tell
from jmer.runs.folder import (
    ARRANGEMENT,
    CHECKPOINTS,
    CHECKSUMS,
    DESCRIPTION,
    METRICS,
    RUN,
    contents,
    first_difference,
    is_changed,
    is_untrained,
    refuse_foreign,
    require_folder,
    run_name,
)
from jmer.runs.layout import remove_run
from jmer.runs.older import renewed

KEPT = ("created", "plan", "flags", RUN, CHECKSUMS)
"""Fields of a description that later starts keep."""
RESTORE = "restore it from a copy, or choose another --run-dir."


def open_run(
    folder: Path,
    description: Mapping[str, Any],
    *,
    overwrite: bool,
    say: Callable[[str], Any] = tell,
) -> None:
    """Makes `folder` the run of `description`, or finds it to be that already.

    `description["identity"]` decides: a folder of another experiment is refused, unless
    that ended before anything was trained, and so is one with files that are no run's.
    With `overwrite` a run is replaced, and files that are not jmer's stay. A
    description that was changed, but says the same of the experiment, is written anew.

    Raises: JmerError naming the first field that differs.
    """
    existing = folder / DESCRIPTION
    require_folder(folder)
    found, names = _found(existing), _names(folder)
    if found is None and contents(folder):
        if not names:  # it may be anybody's
            if existing.exists():
                read_json(existing, changed=True, remedy=RESTORE)
            refuse_foreign(folder)
        if not overwrite:
            _require_named(existing, names, description)
            say(f"{existing} was gone, edited or damaged: it is written anew")
    another = found and first_difference(found["identity"], description["identity"])
    if another and is_untrained(folder):
        say(f"{folder} was another experiment's, of which nothing was trained")
        overwrite = True
    if found is not None and not overwrite:
        description = _gone_on(folder, found, names, description, say)
    elif overwrite and contents(folder):
        remove_run(folder, say)
    make_folder(folder)
    write_json(existing, dict(description))


def _found(file: Path) -> dict[str, Any] | None:
    """The description of a run, changed or not, that says what it is the run of; None
    if there is none that does."""
    try:
        found = renewed(read_json(file, changed=True)) if file.exists() else None
    except Changed:
        return None
    told = isinstance(found, dict) and isinstance(found.get("identity"), dict)
    return found if told else None


def _names(folder: Path) -> set[str]:
    """What files beside the description say that they are of: `run_name`."""
    names = set()
    for file in (folder / METRICS, folder / CHECKPOINTS / ARRANGEMENT):
        with contextlib.suppress(JmerError):
            found = read_json(file, required=True)
            if isinstance(found, dict) and isinstance(found.get(RUN), str):
                names.add(found[RUN])
    return names


def _require_named(file: Path, names: set[str], description: Mapping[str, Any]) -> None:
    """Raises: Changed unless all files beside a lost description are of this run."""
    if names != {run_name(description["identity"])}:
        raise Changed(
            f"{file} is gone, or was edited or damaged, and the files beside it are of "
            f"another experiment or of other options. Restore it from a copy, choose "
            f"another --run-dir, or replace the run with --overwrite."
        )


def _require_same_flags(
    folder: Path, found: Mapping[str, Any], description: Mapping[str, Any]
) -> None:
    """Raises: JmerError if something is trained there already, under flags of XLA that
    may have made other numbers; older versions did not record them."""
    before, now = found.get("flags"), description.get("flags")
    if (
        not isinstance(before, list)
        or before == now
        or not contents(folder / CHECKPOINTS)
    ):
        return
    then = shlex.quote(" ".join(map(str, before)))
    raise JmerError(
        f"{folder} was begun with XLA_FLAGS={then}, and this process has "
        f"{shlex.quote(' '.join(now or []))}: its numbers may be others. "
        f"Set the same in the environment, or replace the run with --overwrite."
    )


def _gone_on(
    folder: Path,
    found: dict[str, Any],
    names: set[str],
    description: Mapping[str, Any],
    say: Callable[[str], Any],
) -> dict[str, Any]:
    """The description of a run that goes on: what this process did not decide stays,
    when it began, its name, and its layout.

    Raises: JmerError if it is not the run of this experiment.
    """
    file = folder / DESCRIPTION
    difference = first_difference(found["identity"], description["identity"])
    changed = is_changed(file)
    if difference and changed:
        raise Changed(
            f"{file} was edited or damaged, and does not say what is to be run "
            f"({difference}). Restore it from a copy, choose another --run-dir, or "
            f"replace the run with --overwrite."
        )
    if difference:
        raise JmerError(
            f"{folder} is the run of another experiment: {difference}. Choose "
            f"another --run-dir, or replace the run with --overwrite."
        )
    _require_same_flags(folder, found, description)
    if changed:
        say(f"{file} was edited or damaged: it is written anew")
        found = {n: found[n] for n in KEPT if n in found}
    made = {**found, **description}
    if isinstance(created := found.get("created"), str):
        made["created"] = created
    if RUN in found:
        # Whoever sealed it anew may have changed that, too: others know it.
        told = found[RUN] in names or len(names) != 1
        made[RUN] = found[RUN] if told else min(names)
    # Of a run that an older version began, not all has a checksum.
    if CHECKSUMS not in found:
        made.pop(CHECKSUMS, None)
    return made
