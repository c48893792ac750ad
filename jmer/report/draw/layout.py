"""Rows of small images, and where each image stands.

All rows have the same columns (the frames of a clip, for one), so that what belongs to
a moment stands in one line. Long clips go on below in a second band of all rows.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from jmer.report.draw.heat import Scale

WIDEST = 6  # columns of a band
LABELS, KEY = 1.2, 0.62  # inches left of the images and right of them
SPACE, SIDE = 3.9, 0.8  # inches for all columns, and for one image at most
GAP, CAPTION, SAID, BAR, BETWEEN = 0.05, 0.19, 0.15, 0.42, 0.14


@dataclass(frozen=True, eq=False)
class Tiles:
    """A row of images, one a column; of fewer ones, each stands in the middle of the
    columns that it is about.
    """

    label: str
    images: Sequence[UInt8[np.ndarray, "h w 3"]] | UInt8[np.ndarray, "n h w 3"]
    scale: Scale | None = None
    """What their shades mean; neighbouring rows of one scale share its bar."""
    said: Sequence[str] = ()
    """A line below each."""
    wheel: UInt8[np.ndarray, "h w 3"] | None = None
    """The colours of directions, where the images are flow."""


@dataclass(frozen=True, eq=False)
class Bars:
    """A bar for each column, with its value below."""

    label: str
    values: np.ndarray
    high: float
    """The value of a bar as high as its row."""
    even: float | None = None
    """Where a dotted line says that all would be alike."""


StripRow = Tiles | Bars


@dataclass(frozen=True)
class Place:
    """Where an image lies: row, its number in the row, and its square in inches from
    the upper left corner of the figure.
    """

    row: int
    index: int
    left: float
    top: float
    side: float


@dataclass(frozen=True)
class StripLayout:
    """Sizes of a figure, in inches."""

    rows: Sequence[StripRow]
    columns: int
    together: int = 1
    """Columns that stay in one band: those that an image may be about."""
    widest: int = WIDEST
    """Columns of a band at most."""

    @property
    def bands(self) -> list[range]:
        """The columns of each band, in each about as many."""
        groups = -(-self.columns // self.together)
        count = -(-groups // max(self.widest // self.together, 1))
        sizes = [len(part) for part in np.array_split(np.arange(groups), count)]
        edges = [0, *itertools.accumulate(size * self.together for size in sizes)]
        return [range(a, min(b, self.columns)) for a, b in itertools.pairwise(edges)]

    @property
    def across(self) -> int:
        """Columns of the widest band."""
        return max(map(len, self.bands))

    @property
    def side(self) -> float:
        """Of an image."""
        return min(SIDE, SPACE / self.across - GAP)

    @property
    def width(self) -> float:
        return LABELS + self.across * (self.side + GAP) + KEY

    @property
    def height(self) -> float:
        return len(self.bands) * (self.band + BETWEEN)

    @property
    def band(self) -> float:
        """Height of one band."""
        return CAPTION + sum(map(self.tall, self.rows))

    def tall(self, row: StripRow) -> float:
        """Height of a row."""
        if isinstance(row, Bars):
            return BAR + SAID + GAP
        return self.side + GAP + (SAID if row.said else 0)

    def tops(self, band: int) -> list[float]:
        """The upper edge of each row."""
        start = band * (self.band + BETWEEN) + CAPTION
        heights = [self.tall(row) for row in self.rows]
        return [start + sum(heights[:i]) for i in range(len(heights))]

    def left(self, column: float) -> float:
        """The left edge of a column of a band."""
        return LABELS + column * (self.side + GAP)

    def places(self) -> Iterator[Place]:
        """Of all images."""
        for b, band in enumerate(self.bands):
            for r, (row, top) in enumerate(zip(self.rows, self.tops(b), strict=True)):
                if isinstance(row, Bars):
                    continue
                wide = self.columns / len(row.images)
                for i in range(len(row.images)):
                    if int(i * wide) in band:
                        column = (i + 0.5) * wide - 0.5 - band.start
                        yield Place(r, i, self.left(column), top, self.side)
