"""A contact sheet: clips of a prepared set in one picture, each on a card.

Tiles are composed as pixels and written as they are; Matplotlib adds the words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import UInt8

from jmer.data.clips import ClipSet
from jmer.files import write_bytes
from jmer.preprocess.flow_colours import flow_colours
from jmer.report.draw.settings import own_settings
from jmer.report.draw.style import INK, MUTED, any_script, png
from jmer.report.draw.tiles import Card, card, spread_over_classes
from jmer.report.render.place import require_room, software, wrote

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure

Image = UInt8[np.ndarray, "h w 3"]
BY = "data show"
WIDTH = 1700  # of the sheet at most, unless a single card is wider
TILE = 128  # side of a tile at most
GAP, MARGIN = 6, 20
TITLE, LINE, CAPTION = 19, 16, 16  # heights of lines of text
WIDE = 500  # from here on, all that is said of a clip fits a line
WHEEL = 72
LEGEND = 520  # width of the header with what it says of the wheel
PIXELS_PER_INCH = 100


@dataclass(frozen=True)
class Words:
    """Text at its lower left corner, in pixels from the top left of the sheet."""

    text: str
    x: int
    y: int
    width: int
    size: float
    bold: bool = False
    colour: str = INK


@dataclass(frozen=True)
class Sheet:
    """The picture before its words are drawn."""

    pixels: Image
    words: tuple[Words, ...]
    tiles: tuple[tuple[int, int, Image], ...]
    """Column and row of the top left corner of each image, and its pixels."""


@own_settings()
def write_sheet(
    clips: ClipSet,
    out: Path,
    *,
    count: int,
    classes: Sequence[str] = (),
    special: str = "none",
) -> list[int]:
    """Writes the sheet of `count` clips as PNG, and returns which they are.

    `special` is the field of the recipe that says which special images there are.

    Raises: JmerError if it cannot be written, `out` is there and no such sheet, or a
    class has no clip.
    """
    require_room([out], BY, known=wrote(out, BY))
    chosen = spread_over_classes(clips, count, classes)
    sheet = compose(
        [card(clips, i, special) for i in chosen],
        f"{clips.name}: {len(chosen)} of {len(clips)} clips",
    )
    write_bytes(out, png(figure(sheet), software(BY)))
    return chosen


def compose(cards: Sequence[Card], title: str) -> Sheet:
    """Cards of one set side by side as far as there is room, under a header."""
    across = max(len(line) for one in cards for line in one.tiles)
    side = max(
        len(tile_pixels(t.image)) for one in cards for line in one.tiles for t in line
    )
    rows = max(len(one.tiles) for one in cards)
    width = across * (side + GAP) - GAP
    said = [[line for line in one.lines if line] for one in cards]
    if width >= WIDE:
        said = [["    ".join(lines)] for lines in said]
    lines = max(map(len, said))
    height = TITLE + lines * LINE + rows * (CAPTION + side + 4)
    columns = min(len(cards), max(1, (WIDTH - MARGIN) // (width + MARGIN)))
    words, placed = _header(title, cards)
    top = 14 + (WHEEL if placed else TITLE) + 10
    total = (
        top + MARGIN + -(-len(cards) // columns) * (height + MARGIN),
        max(MARGIN + columns * (width + MARGIN), LEGEND),
    )
    for i, one in enumerate(cards):
        x = MARGIN + i % columns * (width + MARGIN)
        y = top + MARGIN + i // columns * (height + MARGIN)
        words.append(Words(one.title, x, y + TITLE - 5, width, 9.5, bold=True))
        for k, line in enumerate(said[i]):
            words.append(Words(line, x, y + TITLE + (k + 1) * LINE - 5, width, 8))
        y += TITLE + lines * LINE
        for row in one.tiles:
            for k, tile in enumerate(row):
                left = x + k * (side + GAP)
                words.append(
                    Words(tile.caption, left, y + CAPTION - 4, side, 7.5, colour=MUTED)
                )
                placed.append((left, y + CAPTION, tile_pixels(tile.image)))
            y += CAPTION + side + 4
    pixels = np.full((*total, 3), 255, np.uint8)
    for left, top, image in placed:
        pixels[top : top + len(image), left : left + image.shape[1]] = image
    return Sheet(pixels, tuple(words), tuple(placed))


def _header(
    title: str, cards: Sequence[Card]
) -> tuple[list[Words], list[tuple[int, int, Image]]]:
    """The title, and the wheel of colours where flow is in colour."""
    flow = any(t.caption.startswith("flow") for c in cards for r in c.tiles for t in r)
    x = MARGIN + (WHEEL + 12 if flow else 0)
    words = [Words(title, x, 34, LEGEND - x - MARGIN, 12, bold=True)]
    if not flow:
        return words, []
    words += [
        Words(text, x, y, LEGEND - x - MARGIN, 8, colour=MUTED)
        for text, y in (
            ("Flow: the hue tells the direction, as from the middle of the wheel;", 56),
            ("the brightness tells the speed, beside the fastest in the clip.", 72),
        )
    ]
    return words, [(MARGIN, 14, wheel(WHEEL))]


def wheel(side: int) -> Image:
    """The colours of all directions: motion outwards, fastest at the rim, on white."""
    y, x = (np.indices((side, side), np.float32) + 0.5) * 2 / side - 1
    inside = np.hypot(x, y) <= 1
    flow = np.stack([x, y], axis=-1) * inside[..., None]
    image = flow_colours(flow[None])[0]
    image[~inside] = 255
    return image


def tile_pixels(image: Image) -> Image:
    """A tile: every pixel as a square of as many as fit, or shrunk by area averages."""
    side = max(image.shape[:2])
    if side > TILE:
        scale = TILE / side
        size = [max(1, round(scale * n)) for n in image.shape[1::-1]]
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    times = TILE // side
    return image.repeat(times, axis=0).repeat(times, axis=1)


def figure(sheet: Sheet) -> "Figure":
    """The sheet with its words; what is too long for its place ends in dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = sheet.pixels.shape[:2]
    made = Figure((width / PIXELS_PER_INCH, height / PIXELS_PER_INCH), PIXELS_PER_INCH)
    canvas = FigureCanvasAgg(made)
    made.figimage(sheet.pixels, origin="upper")
    with any_script():
        for one in sheet.words:
            _write(one, made, canvas.get_renderer())
    return made


def _write(one: Words, figure: "Figure", renderer: "RendererBase") -> None:
    # A line is a line, whatever a sheet has in its cells.
    words = "".join(c if c.isprintable() else " " for c in one.text[:300])
    y = figure.bbox.height - one.y
    text = figure.text(one.x, y, words, transform=None, size=one.size)
    text.set_color(one.colour)
    text.set_fontweight("bold" if one.bold else "normal")
    # A dollar sign in a name is a dollar sign, not the start of a formula.
    text.set_parse_math(False)
    for end in range(len(words) - 1, 0, -1):
        if text.get_window_extent(renderer).width <= one.width:
            break
        text.set_text(words[:end].rstrip() + "…")
