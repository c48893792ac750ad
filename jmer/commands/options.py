"""Options with an experiment in them.

Importing this brings JAX along; commands do so once they know which file is meant.
"""

import dataclasses
import math
from pathlib import Path
from typing import Annotated

import tyro

from jmer.errors import FieldCheck
from jmer.experiment import Experiment

# No prefix: `--epochs`, not `--experiment.epochs`; the parts keep theirs.
Fields = Annotated[Experiment, tyro.conf.arg(name="")]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Train and test an experiment: every fold and seed, as many at once as fit."""

    experiment: Fields
    run_dir: Path
    """Folder of the results; an unfinished run there is resumed. Of a sweep, each cell
    has a folder in it."""
    overwrite: bool = False
    """Replace the run in that folder, whatever it is a run of."""
    wait: bool = False
    """Wait until another process has ended that is at work in that folder."""
    sweep: tuple[str, ...] = ()
    """Fields and values to run the experiment with, all combinations, such as
    optim.lr=1e-4,1e-3 model.tab=True,False. What variants can differ in is trained in
    one program, anything else in a run of its own."""
    cells: tuple[str, ...] = ()
    """Names of the cells of a sweep to run (default: all)."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes, where no launcher tells them."""
    num_processes: int | None = None
    """How many processes share the run."""
    process_id: int | None = None
    """Which of them this is, from 0."""
    meeting_seconds: float = 60.0
    """How long several processes wait for one another to be started, in seconds."""
    alone: bool = False
    """Run in this process alone, whatever a launcher (Slurm, MPI, TPU slice) says."""

    def __post_init__(self) -> None:
        fits = 0 < self.meeting_seconds < math.inf
        FieldCheck(self).must("meeting_seconds", fits, "be finite and above 0")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Test weights that are trained already, each on its own held-out subject."""

    experiment: Fields
    weights: Path
    """Folder of imported weights, or a run directory."""
    run_dir: Path
    """Folder of the results."""
    overwrite: bool = False
    """Replace the run in that folder."""
    wait: bool = False
    """Wait until another process has ended that is at work in that folder."""
