"""Runs on the command line, each with the name of a method where it is given one."""

from collections.abc import Sequence
from pathlib import Path

from jmer.commands.parsing import note_owner
from jmer.errors import UsageError, quoted
from jmer.files.places import expanded, require_known


def named_runs(
    command: str, words: Sequence[str]
) -> tuple[list[tuple[str, Path]], list[Path]]:
    """The name and the folder that each word says, as `NAME=FOLDER` or `FOLDER` (which
    has no name), and those that are not finished, which it tells; a sweep stands for
    its cells. Where none is finished, they are all there is.

    Raises: UsageError without a word, or for a name without a folder.
    """
    if not words:
        raise UsageError(f"jmer {command} needs run directories.")
    named = [_named(word) for word in words]
    note_owner(folder for _, folder in named)
    found, unfinished = list[tuple[str, Path]](), list[Path]()
    for name, folder in named:
        finished, rest = parts_of(folder)
        found += [(name, one) for one in finished]
        unfinished += rest
    if not found:
        return [("", one) for one in unfinished], []
    tell_unfinished(unfinished)
    return found, unfinished


def _named(word: str) -> tuple[str, Path]:
    name, equals, place = word.partition("=")
    if not equals or Path(word).exists():
        name, place = "", word
    elif not name or not place:
        raise UsageError(
            f"{quoted(word)}: write METHOD=FOLDER, or the folder of a run alone"
        )
    folder = expanded(Path(place))
    require_known(folder, "RUN")
    return name, folder


def parts_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """A run, or the cells of a sweep: those that have results, and those that have none
    yet."""
    from jmer.report.sweep import cells_of, finished_cells, is_sweep
    from jmer.runs.folder import DESCRIPTION, METRICS

    if is_sweep(folder):
        finished = [*finished_cells(folder).values()]
        return finished, [c for c in cells_of(folder).values() if c not in finished]
    if (folder / DESCRIPTION).is_file() and not (folder / METRICS).is_file():
        return [], [folder]
    return [folder], []


def tell_unfinished(folders: Sequence[Path]) -> None:
    """Says of each that it is left out."""
    from jmer.files.lock import tell

    for folder in folders:
        tell(f"{folder} is not finished, and left out: its command goes on with it")
