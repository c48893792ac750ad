"""The scores of people, as a figure: a mean hides whom a network fails."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 32  # more names than that are too small to read


Rows = Sequence[Mapping[str, Any]]
"""Those of `per_subject` in the metrics."""


@own_settings()
def subjects_png(rows: Rows, pooled: float) -> bytes:
    """`draw_subjects` as a picture of its own."""
    return png(subjects_figure(rows, pooled))


@own_settings()
def subjects_figure(rows: Rows, pooled: float) -> "Figure":
    """A figure as wide as so many people need."""
    figure = new_figure(max(3.6, min(7.2, 1.2 + 0.2 * len(rows))), 2.6)
    draw_subjects(figure.add_subplot(), rows, pooled)
    return figure


def draw_subjects(axes: "Axes", rows: Rows, pooled: float) -> None:
    """Accuracy of each subject, the worst first, beside that of all clips; the area of
    a dot is the number of clips.
    """
    rows = sorted(rows, key=lambda row: (row["acc"], row["n"]))
    place = np.arange(len(rows))
    values, clips = ([row[name] for row in rows] for name in ("acc", "n"))
    axes.vlines(place, 0, values, color="#c9d3dc", linewidth=1.2, zorder=1)
    area = 10 + 90 * np.array(clips) / max(clips)
    axes.scatter(place, values, area, color=BLUE, edgecolor="white", linewidth=0.6)
    axes.axhline(pooled, color=ORANGE, linewidth=1.2, linestyle="--", zorder=0)
    axes.annotate(
        f"all clips {pooled:.2f}", (0, pooled), (2, 3), textcoords="offset points",
        color=INK, size=8, xycoords=("axes fraction", "data"),
    )  # fmt: skip
    axes.set_ylim(-0.04, 1.06)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_ylabel("accuracy", color=MUTED, size=8.5)
    dressed(axes)
    if len(rows) <= NAMED:
        names = [short_name(row["subject"], 12) for row in rows]
        axes.set_xticks(place, names, rotation=90, size=7)
        verbatim(axes.get_xticklabels())
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(rows)} subjects", color=MUTED, size=8.5)
