"""The networks of `jmer predict demo`."""

from pathlib import Path

from jmer.errors import JmerError
from jmer.shipped import __file__ as shipped

WORD = "demo"
"""What stands on the command line for the two runs."""
PLACE = Path(shipped).resolve().parent / WORD


def demo_runs() -> tuple[Path, Path]:
    """The run that spots and the run that names, both finished, with their weights.

    Nothing need be prepared for them: what predictions compare a video with lies in
    `conditions.json` of each (`jmer.predict.conditions.write_conditions`).

    Raises: JmerError if they did not come with this jmer.
    """
    runs = PLACE / "spotter", PLACE / "classifier"
    for run in runs:
        if not (run / "metrics.json").is_file():
            raise JmerError(
                f"{run} is not there: this jmer came without the networks of the "
                f"demonstration. Give a run of your own: jmer predict RUN VIDEO."
            )
    return runs
