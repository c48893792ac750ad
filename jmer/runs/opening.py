"""A folder that becomes the run of an experiment, or is found to be that already."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jmer.errors import JmerError
from jmer.files import Changed, make_folder, read_json, write_json
from jmer.files.lock import tell
from jmer.runs.folder import (
    CHECKPOINTS,
    CHECKSUMS,
    DESCRIPTION,
    RUN,
    contents,
    first_difference,
    is_changed,
    refuse_foreign,
    require_folder,
)
from jmer.runs.layout import remove_run
from jmer.runs.older import renewed

KEPT = ("created", "plan", "flags", RUN, CHECKSUMS)
"""Fields of a description that later starts keep."""


def open_run(
    folder: Path,
    description: Mapping[str, Any],
    *,
    overwrite: bool,
    say: Callable[[str], Any] = tell,
) -> None:
    """Makes `folder` the run of `description`, or finds it to be that already.

    `description["identity"]` decides: a folder of another experiment is refused, and
    so is one with files that are no run's. With `overwrite` a run is replaced, and
    files that are not jmer's stay. A description that was changed, but says the same of
    the experiment, is written anew.

    Raises: JmerError naming the first field that differs.
    """
    existing = folder / DESCRIPTION
    require_folder(folder)
    remedy = "restore it from a copy, or choose another --run-dir."
    found = None
    if existing.exists():
        found = renewed(read_json(existing, changed=True, remedy=remedy))
    is_run = isinstance(found, dict) and isinstance(found.get("identity"), dict)
    if contents(folder) and not is_run:
        refuse_foreign(folder)
    if found is not None and not overwrite:
        difference = first_difference(found["identity"], description["identity"])
        changed = is_changed(existing)
        if difference and changed:
            raise Changed(
                f"{existing} was edited or damaged, and does not say what is to be run "
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
            say(f"{existing} was edited or damaged: it is written anew")
            found = {n: found[n] for n in KEPT if n in found}
        description = _gone_on(found, description)
    elif found is not None:
        remove_run(folder, say)
    make_folder(folder)
    write_json(existing, dict(description))


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


def _gone_on(found: dict[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a run that goes on: what this process did not decide stays,
    when it began, and its layout."""
    made = {**found, **description, "created": found.get("created")}
    if RUN in found:
        made[RUN] = found[RUN]
    # Of a run that an older version began, not all has a checksum.
    if CHECKSUMS not in found:
        made.pop(CHECKSUMS, None)
    return made
