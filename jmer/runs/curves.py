"""How a run learned, from what it wrote on the way."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jmer.errors import MOST_COUNT, is_whole
from jmer.files.shape import is_number

CURVES = ("loss", "test_acc", "inner_uf1")
MOST_LINE = 2**20
"""Bytes of a line; of a longer one, each such part is a line that is no JSON."""


def read_curves(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Epochs and values of those of `CURVES` that are there, averaged over packs; empty
    without evaluations.

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
            if is_number(value) and is_whole(epoch, 0, MOST_COUNT):
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
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(MOST_LINE), b""):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and event.get("event") == "evaluation":
                yield event
