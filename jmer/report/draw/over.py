"""Scores against a number that runs differ in."""

from collections.abc import Mapping, Sequence

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

LOOKS = (
    *((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, "-.", "D")),
    *(("#8a4fa3", ":", "^"), ("#b03a48", "-", "v"), (INK, "--", "x")),
)
Points = Sequence[tuple[float, float]]
"""Places on the axis, ascending, and scores in percent."""


@own_settings()
def over_png(axis: str, panels: Mapping[str, Mapping[str, Points]]) -> bytes:
    """A panel for each score, by its name, one below the other, and in it a line for
    each group of runs, by its name; `axis` says what the number is."""
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    looks = {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(names)}
    rows = -(-len(names) // 2) if len(names) > 1 else 0
    figure = new_figure(4.6, 0.5 + 2.0 * len(panels) + 0.17 * rows)
    grid = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (score, lines) in zip(grid, panels.items(), strict=True):
        for name, points in lines.items():
            colour, line, marker = looks[name]
            axes.plot(
                *zip(*points, strict=True), line, marker=marker, color=colour,
                linewidth=1.4, markersize=4, label=short_name(name, 34),
            )  # fmt: skip
        axes.set_ylabel(f"{score} (%)", color=MUTED, size=8.5)
        axes.grid(axis="y", color="#dde3e8", linewidth=0.7)
        axes.set_axisbelow(True)
        dressed(axes)
    if rows:
        legend = figure.legend(
            *grid[0].get_legend_handles_labels(), frameon=False, fontsize=8,
            labelcolor=INK, loc="outside upper left", ncols=2, borderpad=0.2,
        )  # fmt: skip
        verbatim(legend.get_texts())
    grid[-1].set_xlabel(axis, color=MUTED, size=8.5)
    return png(figure)
