"""How a run learned, from what it wrote on the way."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.errors import MOST_COUNT, is_whole
from jmer.files.shape import is_number
from jmer.runs.lines import read_lines
from jmer.scores.labels import kind_in

if TYPE_CHECKING:
    from jmer.runs.run import Run

CURVES = ("loss", "test_acc", "inner_uf1", "inner_loss")


def read_curves(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Epochs and values of those of `CURVES` that are there, averaged over packs; empty
    without evaluations.

    Where a resumed run repeats an epoch, the later line counts.

    Raises: Changed if a line is damaged.
    """
    if not path.is_file():
        return {}
    values: dict[str, dict[int, dict[Any, float]]] = {
        name: defaultdict(dict) for name in CURVES
    }
    for event in _evaluations(path):
        epoch: Any = event.get("epoch")
        for name in CURVES:
            value: Any = event.get(name)
            if is_number(value) and is_whole(epoch, 0, MOST_COUNT):
                values[name][epoch][str(event.get("pack"))] = float(value)
    curves = {}
    for name, by_epoch in values.items():
        epochs = sorted(by_epoch)
        if epochs:
            means = [np.mean(list(by_epoch[epoch].values())) for epoch in epochs]
            curves[name] = (np.array(epochs), np.array(means))
    return curves


def recorded_curve(found: object, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Epochs and values of a curve in a run's results; None if there is none, or it is
    none."""
    if not isinstance(found, Mapping):
        return None
    match found.get("epoch"), found.get(name):
        case [_, *_] as epochs, [_, *_] as values if (
            len(epochs) == len(values)
            and all(is_whole(epoch, 0, MOST_COUNT) for epoch in epochs)
            and all(is_number(value) for value in values)
        ):
            return np.array(epochs), np.array(values, float)
    return None


def held_out_unit(run: "Run") -> str:
    """What a run held out of its training clips to choose an epoch by."""
    unit = run.experiment["experiment"].get("inner_unit")
    return "clips" if unit == "clip" else "subjects"


def uf1_of_tests(found: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of the run's own variant after each evaluation; nothing of older runs."""
    name = kind_in(found).headlines[0].name
    curve = recorded_curve(found.get("test_curve"), name)
    return {} if curve is None else {f"test_{name}": curve}


def _evaluations(path: Path) -> Iterator[dict[str, Any]]:
    for event in read_lines(path):
        if event.get("event") == "evaluation":
            yield event
