"""Whether it was proven that no layer lets a held-out clip reach its fold."""

from jmer.audit.finding import Finding
from jmer.errors import JmerError
from jmer.runs.run import Run
from jmer.text import counted


def check_unseen(run: Run) -> Finding:
    """By the canary that sang before each pack of the run was trained.

    `jmer.train.canary` refuses a training whose held-out clips reach it, so that a
    finished one has passed; older runs, and weights from elsewhere, were never asked.
    """
    rule = "unseen"
    try:
        packs = run.saved_packs
    except JmerError as error:
        return Finding(rule, "unknown", f"The record of the trainings is gone: {error}")
    if not packs:
        text = "Nothing was trained here, or the checkpoints are gone."
        return Finding(rule, "unknown", text)
    sung = [pack.notes["canary"] for pack in packs if "canary" in pack.notes]
    if len(sung) < len(packs):
        text = (
            f"{len(packs) - len(sung)} of {counted(len(packs), 'pack')} were trained "
            f"by a version that did not ask. A fresh run does."
        )
        return Finding(rule, "unknown", text)
    clips = sum(one["clips"] for one in sung)
    text = (
        f"Before each of {counted(len(sung), 'pack')} one fold was trained for an "
        f"epoch with all clips changed that it must not see ({clips} in all): not a "
        f"bit of its weights differed."
    )
    return Finding(rule, "ok", text)
