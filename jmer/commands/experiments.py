"""Options that are the fields of an experiment: they bring JAX along."""

from pathlib import Path
from typing import Annotated

import tyro

from jmer.commands.parsing import read_file
from jmer.experiment import Experiment, load_experiment

# No prefix: `--epochs`, not `--experiment.epochs`; the parts keep theirs.
Fields = Annotated[Experiment, tyro.conf.arg(name="")]


def read_experiment(
    command: str, words: list[str]
) -> tuple[Path, Experiment, list[str]]:
    """The experiment file that the words begin with, and the words after it."""
    file, words = read_file(command, words)
    return file, load_experiment(file), words
