"""The figures of a report, as PNG bytes. Matplotlib is loaded when one is drawn.

`Figure` and the Agg canvas are used without pyplot, which keeps global state and may
look for a screen, and under Matplotlib's own settings (`own_settings`). Figures are
small in inches, so that their text can be read when a phone shrinks them.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from jmer.report.draw.settings import own_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

DPI = 200
INK, MUTED, BLUE, ORANGE = "#1c2733", "#66717d", "#1f5a94", "#c8620a"
GREEN = "#2f8f6b"


def new_figure(width: float, height: float) -> "Figure":
    """An empty one of a size in inches, whose parts make room for one another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def any_script() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def png(figure: "Figure") -> bytes:
    """The figure as it is, at its own resolution."""
    file = io.BytesIO()
    with any_script():
        # No version inside: the same run gives the same bytes.
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def short_name(name: str, limit: int = 16) -> str:
    """A name on one line of at most `limit` letters; what is cut ends in dots."""
    name = re.sub(r"\s+", " ", name).strip()
    name = "".join(letter for letter in name if letter.isprintable())
    return name if len(name) <= limit else name[: limit - 1] + "…"


def verbatim(labels: Iterable["Text"]) -> None:
    """Names as they are: a dollar sign in one is no start of a formula."""
    for label in labels:
        label.set_parse_math(False)


@own_settings()
def confusion_png(confusion: np.ndarray, classes: list[str]) -> bytes:
    """Counts [k, k] in cells shaded by the share of their row (the true class).

    One hue from light to dark: it reads the same in grey and without colour vision.
    """
    k = len(classes)
    size = 0.78 * k
    figure = new_figure(size + 1.7, size + 1.25)
    axes = figure.add_subplot()
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
    return png(figure)


def dressed(axes: "Axes") -> None:
    """Quiet lines and small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#aab4bd")
    axes.tick_params(colors=INK, labelsize=8, color="#aab4bd")
