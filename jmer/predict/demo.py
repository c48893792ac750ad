"""The networks of `jmer predict demo`."""

from pathlib import Path

from jmer.errors import JmerError
from jmer.files.cache import cache_folder
from jmer.runs.folder import METRICS
from jmer.scores.spotting import Rule
from jmer.shipped import __file__ as shipped

WORD = "demo"
"""What stands on the command line for the two runs."""
PLACE = Path(shipped).resolve().parent / WORD
RULE = Rule(threshold=0.2, min_frames=6, max_gap=3)
"""How intervals are made of the spotter's intensities: best of 72 rules on the held-out
people of its own folds, hence measured on others (`scores.json`)."""
SPOTTER, CLASSIFIER = "spotter", "classifier"
SHIPPED = "shipped"
"""Below what `jmer pretrain demo` makes, the part that comes with jmer."""


def own_place() -> Path:
    """Where `jmer pretrain demo` makes them, unless another place is asked for."""
    return cache_folder() / WORD


def demo_runs() -> tuple[Path, Path]:
    """The run that spots and the run that names, both finished, with their weights:
    those that came with jmer, or else what `jmer pretrain demo` made.

    Nothing need be prepared for them: what predictions compare a video with lies in
    `conditions.json` of each (`jmer.predict.conditions.write_conditions`).

    Raises: JmerError if there are neither.
    """
    for place in (PLACE, own_place() / SHIPPED):
        runs = place / SPOTTER, place / CLASSIFIER
        if all((run / METRICS).is_file() for run in runs):
            return runs
    raise JmerError(
        "the networks of the demonstration did not come with this jmer: `jmer pretrain "
        "demo` makes them of synthetic faces, in some minutes. Or give a run of your "
        "own: jmer predict RUN VIDEO."
    )
