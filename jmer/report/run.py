"""Reading a finished run directory."""

import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import JmerError
from jmer.files import read_json
from jmer.results import Predictions

SCORES = {"uf1": "UF1", "uar": "UAR", "acc": "ACC"}
CURVES = ("loss", "test_acc", "inner_uf1")
NEEDED = {
    "metrics.json": (
        *("protocol", "selection", "batches", "subject_independent", "oracle"),
        *("diverged", "wall_seconds", "throughput", "n_samples", "n_folds"),
        *("n_subjects", "seeds", "classes", "acc", "uf1", "uar", "per_seed", "std"),
        *("ci95", "confusion", "per_dataset", "per_class", "per_subject"),
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
        """(epochs, values) by name in `CURVES`."""
        return read_curves(self.folder / "progress.jsonl")


def band(run: Run, score: str) -> tuple[float, float] | None:
    """The 95 % interval of a score; None with one subject.

    One person drawn again and again would give an interval without width.
    """
    return band_of(run.metrics, score)


def band_of(found: dict[str, Any], score: str) -> tuple[float, float] | None:
    """`band`, of all clips or of one data set; None in a run of older versions, which
    have it for all clips alone.
    """
    if "ci95" not in found or found["n_subjects"] < 2:
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


def read_curves(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Loss and scores by epoch, averaged over packs; empty without evaluations.

    Lines that are no JSON are passed over: a run that was killed leaves a line cut
    short, and one that was resumed wrote on behind it. Where a resumed run repeats
    an epoch, the later line counts.
    """
    if not path.is_file():
        return {}
    values: dict[str, dict[int, dict[Any, float]]] = {
        name: defaultdict(dict) for name in CURVES
    }
    for event in _evaluations(path):
        epoch = event.get("epoch")
        for name in CURVES:
            value = event.get(name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                continue
            if isinstance(epoch, int):
                values[name][epoch][str(event.get("pack"))] = float(value)
    curves = {}
    for name, by_epoch in values.items():
        epochs = sorted(by_epoch)
        if epochs:
            means = [np.mean(list(by_epoch[epoch].values())) for epoch in epochs]
            curves[name] = (np.array(epochs), np.array(means))
    return curves


def _evaluations(path: Path) -> Iterator[dict[str, Any]]:
    # Line by line: a thousand packs of one task write a hundred megabytes.
    with path.open(errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") == "evaluation":
                yield event
