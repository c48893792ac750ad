"""Which classes are taken for which, as a figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    INK,
    MUTED,
    new_figure,
    png,
    short_name,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@own_settings()
def confusion_png(confusion: np.ndarray, classes: Sequence[str]) -> bytes:
    """`draw_confusion` as a picture of its own."""
    return png(confusion_figure(confusion, classes))


@own_settings()
def confusion_figure(confusion: np.ndarray, classes: Sequence[str]) -> "Figure":
    """A figure of a size that suits the number of classes."""
    size = 0.78 * len(classes)
    figure = new_figure(size + 1.7, size + 1.25)
    draw_confusion(figure.add_subplot(), confusion, classes)
    return figure


def draw_confusion(axes: "Axes", confusion: np.ndarray, classes: Sequence[str]) -> None:
    """Counts [k, k] in cells shaded by the share of their row (the true class).

    One hue from light to dark: it reads the same in grey and without colour vision.
    """
    k = len(classes)
    total = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(total, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if share[row, column] > 0.65 else INK
        bold = "bold" if row == column else "normal"
        place: dict[str, Any] = {"ha": "center", "color": colour}
        axes.text(
            column, row - 0.03, f"{count:d}", va="bottom", weight=bold, size=10, **place
        )
        percent = f"{100 * share[row, column]:.0f} %" if total[row] else "–"
        axes.text(column, row + 0.07, percent, va="top", size=7.5, **place)
    names = [short_name(name) for name in classes]
    turn: dict[str, Any] = (
        {}
        if k <= 3 and max(map(len, names)) <= 9
        else {"rotation": 35, "rotation_mode": "anchor"}
    )
    axes.set_xticks(range(k), names, size=8.5, ha="right" if turn else "center", **turn)
    axes.set_yticks(range(k), names, size=8.5)
    verbatim(axes.get_xticklabels() + axes.get_yticklabels())
    axes.set_xticks(np.arange(1, k) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, k) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("recognised as", color=MUTED, size=8.5)
    axes.set_ylabel("true class", color=MUTED, size=8.5)
