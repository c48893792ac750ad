"""The command that tests weights that are trained already."""

import dataclasses
from pathlib import Path

import tyro

from jmer.commands.experiments import Fields, read_experiment
from jmer.commands.parsing import parse
from jmer.commands.run import print_summary
from jmer.runs.folder import command_line


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


def evaluate(words: list[str]) -> int:
    file, experiment, words = read_experiment("evaluate", words)
    default = EvaluateOptions(
        experiment,
        weights=tyro.MISSING,
        run_dir=Path("runs") / f"{file.stem}-evaluated",
    )
    options = parse(EvaluateOptions, f"jmer evaluate {file}", words, default)
    from jmer.runner.evaluate import evaluate

    metrics = evaluate(
        options.experiment,
        weights=options.weights,
        name=file.stem,
        command=command_line(),
        run_dir=options.run_dir,
        overwrite=options.overwrite,
    )
    print_summary(metrics, options.run_dir)
    return 0
