"""A forest plot: the difference of two methods on each data set, and on all."""

from collections.abc import Sequence
from dataclasses import dataclass

from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    dressed,
    new_figure,
    png,
    short_name,
    verbatim,
)


@dataclass(frozen=True)
class Line:
    """A difference with its interval, and its weight in the whole, 0 to 1."""

    name: str
    value: float
    low: float
    high: float
    weight: float


@own_settings()
def forest_png(
    axis: str, lines: Sequence[Line], whole: Line | None, limits: tuple[float, float]
) -> bytes:
    """A square for each set, as large as its weight, on its interval, and below them a
    diamond for the whole, as wide as its interval. Nothing differs at the dashed line.
    """
    rows = len(lines) + bool(whole)
    figure = new_figure(4.6, 0.75 + 0.26 * rows)
    axes = figure.add_subplot()
    axes.axvline(0, color=MUTED, linewidth=1, linestyle="--", zorder=0)
    for at, line in enumerate(lines):
        axes.hlines(at, line.low, line.high, color=BLUE, linewidth=1.4)
        axes.scatter([line.value], [at], 16 + 90 * line.weight, color=BLUE, marker="s")
    names = [short_name(line.name, 22) for line in lines]
    if whole:
        at = len(lines)
        corners = [whole.low, whole.value, whole.high, whole.value]
        axes.fill(corners, [at, at - 0.3, at, at + 0.3], color=ORANGE, linewidth=0)
        names.append(short_name(whole.name, 22))
    axes.set_yticks(range(rows), names, size=8)
    verbatim(axes.get_yticklabels())
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.set_xlabel(axis, color=MUTED, size=8.5)
    verbatim([axes.xaxis.label])
    dressed(axes)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    return png(figure)
