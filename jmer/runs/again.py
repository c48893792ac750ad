"""The command that goes on with a run, wherever its folder lies by now."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jmer.runs.folder import SWEEP

ACTIONS = ("run", "evaluate")
PLACE, REPLACING = "--run-dir", ("--overwrite", "--no-overwrite")


def again(folder: Path, about: Mapping[str, Any]) -> str:
    """What to type so that a run goes on in `folder`, by its description; the folder
    is named as the user named it, and may be a copy by now.

    What the run was started with may have been to replace another: this is not to
    replace it.
    """
    home = _home(folder, about)
    words = _words(about.get("command"))
    if words is None:
        return (
            f"`jmer run FILE --run-dir {shlex.quote(str(home))}` (with the file and "
            f"the options that it was started with)"
        )
    return f"`{shlex.join(_with_place(words, str(home)))}`"


def _home(folder: Path, about: Mapping[str, Any]) -> Path:
    """That of the sweep, whose command runs all of its cells."""
    cell = ": " in str(about.get("name", ""))
    return folder.parent if cell and (folder.parent / SWEEP).is_file() else folder


def _words(command: object) -> list[str] | None:
    """A command of jmer; None for anything else, as a stranger may have written."""
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return None
    known = len(words) > 2 and words[0] == "jmer" and words[1] in ACTIONS
    return words if known else None


def _with_place(words: Sequence[str], place: str) -> list[str]:
    """The words with that place in place of theirs."""
    made: list[str] = []
    left = iter(words)
    for word in left:
        name, equals, _ = word.partition("=")
        option = name.replace("_", "-")  # as the command line takes either
        if option == PLACE:
            if not equals:
                next(left, None)
            if PLACE not in made:
                made += [PLACE, place]
        elif option not in REPLACING:
            made.append(word)
    return made if PLACE in made else [*made, PLACE, place]
