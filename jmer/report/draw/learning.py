"""How tasks learned, and the epochs that were tested, as a figure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    dressed,
    new_figure,
    png,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

LABELS = {
    "loss": ("training loss", BLUE, "-", "o"),
    "inner_loss": ("loss, held-out training {held}", ORANGE, "--", "s"),
    "test_acc": ("accuracy, test clips", BLUE, "-", "o"),
    "test_uf1": ("UF1, test clips", GREEN, "-.", "D"),
    "test_f1": ("F1, test clips", GREEN, "-.", "D"),
    "inner_uf1": ("UF1, held-out training {held}", ORANGE, "--", "s"),
}
GROUPS = (("loss", "inner_loss"), ("test_acc", "test_uf1", "test_f1", "inner_uf1"))
"""What shares a panel."""
EPOCHS = {
    "selected": ("tested", BLUE, ""),
    "oracle": ("best on the test subject (oracle)", "#f0c69c", "////"),
}


Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Epochs and values by name."""


@own_settings()
def learning_png(
    curves: Curves,
    epochs: Mapping[str, Sequence[int]] | None = None,
    held: str = "subjects",
) -> bytes:
    """`learning_figure` as a picture."""
    return png(learning_figure(curves, epochs, held))


@own_settings()
def learning_figure(
    curves: Curves,
    epochs: Mapping[str, Sequence[int]] | None = None,
    held: str = "subjects",
) -> "Figure":
    """Loss, scores and the epochs of tasks that were `selected`, and that the `oracle`
    would have taken, one below the other; the last epoch is marked. What was `held` out
    to choose the epoch by: `subjects` or `clips`.
    """
    panels = panels_of(curves)
    rows = len(panels) + bool(epochs)
    figure = new_figure(4.6, 0.5 + 1.75 * rows)
    seen = np.unique(np.concatenate([x for x, _ in curves.values()]))
    grid = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    for axes, names in zip(grid, panels, strict=False):
        draw_curves(axes, {name: curves[name] for name in names}, held)
    if epochs:
        _draw_epochs(grid[-1], epochs, seen)
        _finish(grid[-1], int(seen[-1]))
    for axes in grid[:-1]:
        axes.set_xlabel("")
    return figure


def panels_of(curves: Curves) -> list[list[str]]:
    """The names of the curves that there are, by panel."""
    panels = [[name for name in group if name in curves] for group in GROUPS]
    return [names for names in panels if names]


def draw_curves(axes: "Axes", curves: Curves, held: str = "subjects") -> None:
    """Curves of one panel over epochs, the last of which is marked."""
    for name, (epochs, values) in curves.items():
        _draw_curve(axes, name, epochs, values, held)
    if not set(curves) & set(GROUPS[0]):
        axes.set_ylim(-0.02, 1.02)
    _finish(axes, max(int(epochs[-1]) for epochs, _ in curves.values()))


def _finish(axes: "Axes", last: int) -> None:
    axes.axvline(last, color=MUTED, linewidth=1, linestyle=":", zorder=0)
    axes.grid(axis="y", color="#dde3e8", linewidth=0.7)
    axes.set_axisbelow(True)
    dressed(axes)
    axes.legend(
        frameon=False, fontsize=8, labelcolor=INK, loc="lower left",
        bbox_to_anchor=(-0.02, 0.98), ncols=2, borderpad=0.2, handlelength=2.2,
    )  # fmt: skip
    axes.set_xlabel(
        f"epoch (the dotted line marks the last, {last})", color=MUTED, size=8.5
    )
    _whole(axes.xaxis)


def _draw_curve(
    axes: "Axes", name: str, epochs: np.ndarray, values: np.ndarray, held: str
) -> None:
    label, colour, line, marker = LABELS[name]
    label = label.format(held=held)
    axes.plot(epochs, values, line, color=colour, linewidth=1.6, label=label)
    axes.plot(epochs[-1], values[-1], marker, color=colour, markersize=5)


def _draw_epochs(
    axes: "Axes", epochs: Mapping[str, Sequence[int]], seen: np.ndarray
) -> None:
    width = max(1.0, (seen[-1] - seen[0]) / 40)
    for i, (name, (label, colour, hatch)) in enumerate(EPOCHS.items()):
        counts = Counter(epochs[name])
        places = np.array(sorted(counts))
        heights = [counts[place] for place in places.tolist()]
        axes.bar(
            places + (i - 0.5) * width, heights, width, color=colour, hatch=hatch,
            edgecolor=INK if hatch else colour, linewidth=0.4, label=label,
        )  # fmt: skip
    axes.set_ylabel("tasks", color=MUTED, size=8.5)
    _whole(axes.yaxis)


def _whole(axis: "Axis") -> None:
    """Ticks at whole numbers alone, if they are at numbers."""
    from matplotlib.ticker import MaxNLocator

    locator = axis.get_major_locator()
    if isinstance(locator, MaxNLocator):
        locator.set_params(integer=True)
