"""Rows of small images, one above another, with what is said of each, as PNG bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jmer.report.draw.heat import Scale, colour_map
from jmer.report.draw.layout import (
    BAR,
    BETWEEN,
    CAPTION,
    GAP,
    KEY,
    LABELS,
    SAID,
    WIDEST,
    Bars,
    Place,
    StripLayout,
    StripRow,
    Tiles,
)
from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import (
    BLUE,
    INK,
    MUTED,
    new_figure,
    png,
    short_name,
    verbatim,
)


@own_settings()
def strip_png(
    rows: Sequence[StripRow],
    captions: Sequence[str],
    *,
    together: int = 1,
    widest: int = WIDEST,
) -> bytes:
    """The rows; `captions` stand above the columns, `together` of which are never
    parted, and `widest` of which are side by side at most.

    Raises: ValueError if a row has more images than there are captions, or too few.
    """
    layout = StripLayout(rows, len(captions), together, widest)
    for row in rows:
        count = len(row.images if isinstance(row, Tiles) else row.values)
        fits = count == layout.columns or count * together == layout.columns
        alone = isinstance(row, Tiles) and len(layout.bands) == 1
        if not fits and not (alone and 0 < count < layout.columns):
            raise ValueError(f"{row.label}: {count} images in {layout.columns} columns")
    page = _Page(layout)
    for band, columns in enumerate(layout.bands):
        page.write_captions(band, [captions[i] for i in columns])
        for row, top in zip(rows, layout.tops(band), strict=True):
            page.label(row, top)
            if isinstance(row, Bars):
                page.bars(row, columns, top)
    for place in layout.places():
        page.image(place)
    page.keys()
    return png(page.figure)


class _Page:
    """A figure that is written on in inches from its upper left corner."""

    def __init__(self, layout: StripLayout):
        self.layout = layout
        self.figure = new_figure(layout.width, layout.height)
        self.figure.set_layout_engine("none")

    def _axes(self, left: float, top: float, width: float, height: float) -> Any:
        across, down = self.layout.width, self.layout.height
        bottom = down - top - height
        box = (left / across, bottom / down, width / across, height / down)
        axes = self.figure.add_axes(box)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def _write(self, text: str, x: float, y: float, **style: Any) -> None:
        x, y = x / self.layout.width, 1 - y / self.layout.height
        verbatim([self.figure.text(x, y, text, **{"size": 8, "color": INK, **style})])

    def write_captions(self, band: int, captions: Sequence[str]) -> None:
        top = band * (self.layout.band + BETWEEN) + CAPTION - 0.04
        for column, text in enumerate(captions):
            x = self.layout.left(column) + self.layout.side / 2
            self._write(text, x, top, ha="center", va="bottom", color=MUTED)

    def label(self, row: StripRow, top: float) -> None:
        lines = [short_name(line, 17) for line in row.label.split("\n")]
        height = BAR if isinstance(row, Bars) else self.layout.side
        y = top + height / 2
        self._write("\n".join(lines), LABELS - 0.08, y, ha="right", va="center")

    def image(self, place: Place) -> None:
        row = self.layout.rows[place.row]
        assert isinstance(row, Tiles)
        axes = self._axes(place.left, place.top, place.side, place.side)
        axes.imshow(row.images[place.index], aspect="auto")
        axes.spines[:].set_color("#aab4bd")
        axes.spines[:].set_linewidth(0.5)
        if row.said:
            x, y = place.left + place.side / 2, place.top + place.side + SAID - 0.02
            self._write(row.said[place.index], x, y, ha="center", va="bottom", size=7.5)

    def bars(self, row: Bars, columns: range, top: float) -> None:
        """As wide as images nearly; their values stand below them."""
        side, step = self.layout.side, self.layout.side + GAP
        axes = self._axes(LABELS, top, len(columns) * step - GAP, BAR)
        middles = np.arange(len(columns)) * step + side / 2
        values = row.values[columns.start : columns.stop]
        axes.bar(middles, values, 0.7 * side, color=BLUE)
        axes.set_xlim(0, len(columns) * step - GAP)
        axes.set_ylim(0, 1.02 * row.high or 1)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color("#aab4bd")
        for middle, value in zip(middles, values, strict=True):
            x, y = LABELS + middle, top + BAR + SAID - 0.01
            self._write(printed(value), x, y, ha="center", va="bottom", size=7.5)
        if row.even is not None:
            axes.axhline(row.even, color=INK, linewidth=0.8, linestyle=":")
            x = LABELS + len(columns) * step
            y = top + BAR * (1 - row.even / (1.02 * row.high or 1))
            self._write("all alike", x, y, ha="left", va="center", size=7.5)

    def keys(self) -> None:
        """Right of the first band: a bar for each scale, and the wheel for flow."""
        tops, rows = self.layout.tops(0), self.layout.rows
        left, side = self.layout.left(self.layout.across) + 0.03, self.layout.side
        for i, row in enumerate(rows):
            if not isinstance(row, Tiles):
                continue
            if row.wheel is not None:
                size = min(side, KEY - 0.12)
                axes = self._axes(left, tops[i] + (side - size) / 2, size, size)
                axes.imshow(row.wheel)
                axes.spines[:].set_visible(False)
            before = rows[i - 1] if i else None
            again = isinstance(before, Tiles) and before.scale is row.scale
            if row.scale is None or again:
                continue
            last = i
            while last + 1 < len(rows) and _same(rows[last + 1], row.scale):
                last += 1
            axes = self._axes(left, tops[i], 0.08, tops[last] + side - tops[i])
            axes.imshow(
                np.linspace(1, 0, 256)[:, None], cmap=colour_map(), aspect="auto",
                extent=(0, 1, 0, 1),
            )  # fmt: skip
            axes.yaxis.tick_right()
            ends = [printed(row.scale.low), printed(row.scale.high)]
            axes.set_yticks([0, 1], ends, size=7.5, color=INK)
            axes.get_yticklabels()[0].set_va("bottom")
            axes.get_yticklabels()[1].set_va("top")
            axes.tick_params(length=0, pad=2)
            axes.spines[:].set_color("#aab4bd")
            axes.spines[:].set_linewidth(0.5)


def _same(row: StripRow, scale: Scale) -> bool:
    return isinstance(row, Tiles) and row.scale is scale


def printed(value: float) -> str:
    """A number from 0 in little room: three digits, and no more than six letters."""
    if value == 0 or 0.001 <= value < 1000:
        return "0" if value == 0 else f"{value:.3g}" if value >= 1 else f"{value:.3f}"
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
