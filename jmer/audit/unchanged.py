"""Whether the files of a run are what jmer wrote, by its checksums."""

from collections.abc import Iterator

from jmer.audit.finding import Finding
from jmer.errors import JmerError
from jmer.runs.arrangement import read_arrangement
from jmer.runs.folder import CHECKPOINTS, require_idle
from jmer.runs.intact import checksums, flaws
from jmer.runs.run import Run
from jmer.text import counted

RULE = "unchanged"


def check_unchanged(run: Run) -> Finding:
    """By the checksums of results, description and checkpoints; what a version without
    checksums wrote may have been changed by anybody.
    """
    try:
        require_idle(run.folder)
    except JmerError as error:
        return Finding(RULE, "unknown", str(error))
    found = list(_changed(run))
    rows = tuple({"file": file, "why": why} for file, why, _ in found)
    if rows and all(harmless for *_, harmless in found):
        text = (
            f"All that numbers depend on is unchanged, but {rows[0]['file']} is gone."
        )
        return Finding(RULE, "warning", text, rows)
    if rows:
        text = (
            f"{counted(len(rows), 'file')} changed after jmer wrote it, or of another "
            f"run, such as {rows[0]['file']}: {rows[0]['why']}."
        )
        return Finding(RULE, "violation", text, rows)
    complete = checksums(run.folder)
    if complete is None:
        text = (
            "A version without checksums began this run: of what it wrote, nobody can "
            "tell. What was written since is unchanged."
        )
        return Finding(RULE, "unknown", text)
    if not complete:
        text = "It was written before checksums: nobody can tell. A fresh run has them."
        return Finding(RULE, "unknown", text)
    packs = counted(len(run.saved_packs), "pack")
    text = f"All files of results and the checkpoints of {packs} have their checksum."
    return Finding(RULE, "ok", text)


def _changed(run: Run) -> Iterator[tuple[str, str, bool]]:
    for flaw in flaws(run.folder):
        yield flaw.file.name, flaw.what, flaw.harmless
    place = run.folder / CHECKPOINTS
    for read in (lambda: run.saved_packs, lambda: read_arrangement(place)):
        try:
            read()
        except JmerError as error:
            yield CHECKPOINTS, str(error).rstrip("."), False
