"""Runs of several methods on several data sets, without a training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jmer.files import write_json
from jmer.scores.predictions import Predictions
from jmer.scores.recognition import score

CLASSES = ("negative", "positive", "surprise")


def predictions_of(
    sets: dict[str, int], right: float, *, seed: int = 0, seeds: tuple[int, ...] = (0,)
) -> Predictions:
    """Of sets with so many subjects of six clips each, that share of them right."""
    rng = np.random.default_rng(seed)
    rows = [
        (name, f"{name}{s:02d}", f"clip{c}", f"{name}{s:02d}", number, 0, c % 3)
        for number in seeds
        for name, subjects in sets.items()
        for s in range(subjects)
        for c in range(6)
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    label = columns[-1]
    wrong = (label + rng.integers(1, 3, len(label))) % 3
    predicted = np.where(rng.random(len(label)) < right, label, wrong)
    shares = np.eye(3, dtype=np.float32)[predicted]
    return Predictions(CLASSES, *columns, predicted, shares)


def units_of(found: Predictions) -> Predictions:
    """The same with two action units, of which a class shows none, one or both."""
    shown = np.array([[False, False], [True, False], [True, True]])
    predicted = shown[found.predicted]
    return replace(
        found,
        classes=("AU1", "AU4"),
        label=shown[found.label],
        predicted=predicted,
        probabilities=np.where(predicted, 0.8, 0.2).astype(np.float32),
    )


def make(folder: Path, network: str, found: Predictions, **changes: Any) -> Path:
    """A finished run of these predictions; `changes` are to its metrics."""
    folder.mkdir(parents=True)
    found.save(folder / "predictions.csv")
    folds = len(np.unique(found.fold))
    about = {
        "protocol": f"leave-one-subject-out, {folds} folds",
        "selection": "last",
        "batches": "own",
        "subject_independent": True,
        "oracle": {"acc": 0.91, "uf1": 0.8765, "uar": 0.9},
        "diverged": [],
        "wall_seconds": 125.0,
        "throughput": None,
    }
    write_json(folder / "metrics.json", {**score(found), **about, **changes})
    protocol = {"kind": changes.get("kind", "Loso")}
    description = {
        "name": f"{network}_{folder.name}",
        "command": f"jmer run {network}",
        "experiment": {
            "model": {"name": network},
            "protocol": protocol,
            "seeds": np.unique(found.seed).tolist(),
        },
        "versions": {},
        "device": {"kind": "cpu", "count": 1, "platform": "cpu"},
        "revision": None,
        "data": {
            "name": changes.get("data", "+".join(np.unique(found.dataset).tolist())),
            "config": "flow8",
            "fingerprint": "0123456789abcdef",
            "classes": list(CLASSES),
        },
        "created": "2026-01-02T03:04:05",
    }
    write_json(folder / "experiment.json", description)
    return folder
