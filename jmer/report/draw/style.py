"""What the figures have in common. Matplotlib is loaded when one is drawn.

`Figure` and the Agg canvas are used without pyplot, which keeps global state and may
look for a screen, and under Matplotlib's own settings (`own_settings`). Figures are
small in inches, so that their text can be read when a phone shrinks them.
"""

import functools
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jmer.report.draw.settings import own_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

DPI = 200
INK, MUTED, BLUE, ORANGE = "#1c2733", "#66717d", "#1f5a94", "#c8620a"
GREEN = "#2f8f6b"


def new_figure(width: float, height: float) -> "Figure":
    """An empty one of a size in inches, whose parts make room for one another; it shows
    itself in a notebook."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _kind()(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@functools.cache
def _kind() -> "type[Figure]":
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that a notebook shows without pyplot, whatever its backend."""

        def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
            return _shown(self)

    return Picture


@own_settings()
def _shown(figure: "Figure") -> tuple[bytes, dict[str, Any]]:
    """What a notebook shows: half as large as it has pixels, as on a page, so that
    text stays sharp."""
    width = round(figure.get_figwidth() * figure.get_dpi() / 2)
    return png(figure), {"width": width}


@contextmanager
def any_script() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes, without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def png(figure: "Figure", software: str | None = None) -> bytes:
    """The figure as it is, at its own resolution; `software` is said to have drawn
    it."""
    file = io.BytesIO()
    with any_script():
        # No version inside: the same run gives the same bytes.
        figure.savefig(file, format="png", metadata={"Software": software})
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


def dressed(axes: "Axes") -> None:
    """Quiet lines and small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#aab4bd")
    axes.tick_params(colors=INK, labelsize=8, color="#aab4bd")
