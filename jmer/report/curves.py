"""How several runs learned, side by side."""

from collections.abc import Iterator, Sequence

import numpy as np

from jmer.report.draw.lines import Points, lines_png
from jmer.report.render.blocks import Figure, Section
from jmer.runs.curves import held_out_unit, recorded_curve
from jmer.runs.run import Run

Curve = tuple[np.ndarray, np.ndarray]
"""Epochs and values."""


def curves_section(names: Sequence[str], runs: Sequence[Run]) -> Iterator[Section]:
    """The losses of the runs over each other; nothing unless several have losses of
    held-out training clips or subjects: validation losses, as papers call them."""
    pairs = list(zip(names, runs, strict=True))
    inner = [(name, curve) for name, run in pairs if (curve := inner_loss(run))]
    if len(inner) < 2:
        return
    training = [(n, run.curves["loss"]) for n, run in pairs if "loss" in run.curves]
    units = sorted({held_out_unit(run) for _, run in pairs if inner_loss(run)})
    what = " or ".join(units)
    figure = Figure(
        "figures/curves.png",
        "Losses over epochs, a line for each run",
        f"Above, the mean cross-entropy of the training {what} that were held out of "
        f"each fold to choose the epoch by (the validation loss); below, the training "
        f"loss. Both are averaged over the trainings of a run.",
        lines_png(
            "epoch",
            {
                "validation loss": {name: _points(curve) for name, curve in inner},
                "training loss": {name: _points(curve) for name, curve in training},
            },
            epochs=True,
        ),
        chart=True,
    )
    yield Section("Losses of held-out training clips", (figure,))


def inner_loss(run: Run) -> Curve | None:
    """Epochs and losses on held-out training clips; of a run with variants, those of
    the one that its scores are of."""
    curve = recorded_curve(run.metrics.get("inner_curve"), "loss")
    return run.curves.get("inner_loss") if curve is None else curve


def _points(curve: Curve) -> Points:
    return [*zip(*(axis.tolist() for axis in curve), strict=True)]
