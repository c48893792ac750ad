"""One curve of several runs in one figure."""

import itertools
from collections.abc import Sequence
from typing import Any

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
    short_name,
    verbatim,
)

COLOURS = (BLUE, ORANGE, GREEN, "#8a4fa3", "#b03a48", INK)
LINES = ("-", "--", "-.", ":")
Curve = tuple[np.ndarray, np.ndarray]


@own_settings()
def overlay_png(
    panels: Sequence[tuple[str, Sequence[tuple[str, Curve]]]],
) -> bytes:
    """For each panel its name and the curves in it, (epochs, values) by name of a run;
    a run has the same colour and line in all. The last point of each is marked.
    """
    names = list(dict.fromkeys(name for _, curves in panels for name, _ in curves))
    # Neighbours differ in both, so that they are told apart without colour vision.
    turns = zip(itertools.cycle(COLOURS), itertools.cycle(LINES), strict=False)
    looks = dict(zip(names, turns, strict=False))
    rows = -(-len(names) // 2)
    figure = new_figure(4.6, 0.4 + 2.0 * len(panels) + 0.17 * rows)
    grid = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (what, curves) in zip(grid, panels, strict=True):
        for name, (epochs, values) in curves:
            colour, line = looks[name]
            axes.plot(
                epochs, values, line, color=colour, linewidth=1.4,
                label=short_name(name, 34),
            )  # fmt: skip
            axes.plot(epochs[-1], values[-1], "o", color=colour, markersize=4)
        axes.set_ylabel(what, color=MUTED, size=8.5)
        axes.grid(axis="y", color="#dde3e8", linewidth=0.7)
        axes.set_axisbelow(True)
        dressed(axes)
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    legend = figure.legend(
        [*handles.values()], [*handles], frameon=False, fontsize=8, labelcolor=INK,
        loc="outside upper left", ncols=2, borderpad=0.2, handlelength=2.6,
    )  # fmt: skip
    verbatim(legend.get_texts())
    grid[-1].set_xlabel("epoch", color=MUTED, size=8.5)
    grid[-1].xaxis.get_major_locator().set_params(integer=True)
    return png(figure)
