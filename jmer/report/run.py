"""Reading a finished run directory."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.files import read_json
from jmer.runs.curves import read_curves
from jmer.scores.predictions import Predictions

NEEDED = {
    "metrics.json": (
        *("protocol", "selection", "batches", "subject_independent", "oracle"),
        *("diverged", "wall_seconds", "throughput", "n_samples", "n_folds"),
        *("n_subjects", "seeds", "classes", "per_seed", "std", "ci95", "confusion"),
        *("per_dataset", "per_class", "per_subject"),
    ),
    "experiment.json": (
        *("name", "command", "experiment", "versions", "device", "revision"),
        *("data", "created"),
    ),
}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run."""

    folder: Path
    metrics: dict[str, Any]
    experiment: dict[str, Any]
    predictions: Predictions

    @functools.cached_property
    def curves(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """(epochs, values) by name, as `read_curves`."""
        return read_curves(self.folder / "progress.jsonl")


def band(run: Run, score: str) -> tuple[float, float] | None:
    """The 95 % interval of a score; None with one subject.

    One person drawn again and again would give an interval without width.
    """
    return band_of(run.metrics, score)


def band_of(found: dict[str, Any], score: str) -> tuple[float, float] | None:
    """`band`, of all clips or of one data set; None in a run of older versions, which
    have it for all clips alone, or lack this score.
    """
    if score not in found.get("ci95", ()) or found["n_subjects"] < 2:
        return None
    low, high = found["ci95"][score]
    return low, high


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise JmerError(
            f"{folder} has no {name}: it is no finished run; run `jmer run "
            f"EXPERIMENT --run-dir {folder}`, which goes on where it stopped."
        )
    content = read_json(path)
    found = content if isinstance(content, dict) else {}
    missing = [key for key in NEEDED[name] if key not in found]
    if missing:
        raise JmerError(
            f"{path} has no {', '.join(missing)}: it was edited, or written by another "
            f"version of jmer. Run the experiment again."
        )
    return found


def read_run(folder: Path) -> Run:
    """Everything that a report needs of `folder`.

    Raises: JmerError naming the missing or damaged file, and what to do.
    """
    metrics = _read(folder, "metrics.json")
    experiment = _read(folder, "experiment.json")
    path = folder / "predictions.csv"
    if not path.is_file():
        raise JmerError(
            f"{folder} has no predictions.csv: it is no finished run; run "
            f"`{experiment['command']}` again."
        )
    predictions = Predictions.load(path).select(variant=metrics.get("variant", 0))
    return Run(folder, metrics, experiment, predictions)
