"""Several lines in one figure, told apart without colour vision."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    short_name,
    verbatim,
)

COLOURS = (BLUE, ORANGE, GREEN, "#8a4fa3", "#b03a48", INK)
STROKES = ("-", "--", "-.", ":")
MARKERS = "osD^vxP"
Points = Sequence[tuple[float, float]]
"""Places on the axis, ascending, and values."""


@own_settings()
def lines_png(
    axis: str, panels: Mapping[str, Mapping[str, Points]], *, epochs: bool = False
) -> bytes:
    """A panel for each quantity, by its name, one below the other, and in it a line for
    each run or group of runs, by its name; `axis` says what the number below is.

    A line looks alike in all panels. Of one over `epochs` the last point is marked, of
    others each is.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    rows = -(-len(names) // 2) if len(names) > 1 else 0
    figure = new_figure(4.6, 0.5 + 2.0 * len(panels) + 0.17 * rows)
    grid = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    handles: dict[str, Any] = {}
    for axes, (quantity, lines) in zip(grid, panels.items(), strict=True):
        for name, points in lines.items():
            (handles[name],) = axes.plot(
                *zip(*points, strict=True), **_look(names.index(name)),
                linewidth=1.4, markersize=4, markevery=[-1] if epochs else None,
            )  # fmt: skip
        axes.set_ylabel(quantity, color=MUTED, size=8.5)
        axes.grid(axis="y", color="#dde3e8", linewidth=0.7)
        axes.set_axisbelow(True)
        dressed(axes)
    if rows:
        legend = figure.legend(
            [handles[name] for name in names],
            [short_name(name, 34) for name in names],
            frameon=False, fontsize=8, labelcolor=INK, loc="outside upper left",
            ncols=2, borderpad=0.2, handlelength=2.6,
        )  # fmt: skip
        verbatim(legend.get_texts())
    grid[-1].set_xlabel(axis, color=MUTED, size=8.5)
    if epochs:
        grid[-1].xaxis.get_major_locator().set_params(integer=True)
    return png(figure)


def _look(number: int) -> dict[str, str]:
    """Neighbours differ in all three."""
    every = (COLOURS, STROKES, MARKERS)
    looks = (kind[number % len(kind)] for kind in every)
    return dict(zip(("color", "linestyle", "marker"), looks, strict=True))
