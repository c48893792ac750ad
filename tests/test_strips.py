"""Shades, and rows of images in a figure: each value and image in its place."""

import itertools

import numpy as np
import pytest
from cases import lightness, read
from numpy.testing import assert_allclose, assert_array_equal

from jmer.report.draw.heat import Scale, colour_map, over, scale_of, shades
from jmer.report.draw.layout import Bars, StripLayout, Tiles
from jmer.report.draw.strip import printed, strip_png
from jmer.report.draw.style import DPI

RNG = np.random.default_rng(1)

# ---- shades


def test_shades_darken_with_their_value_on_any_image():
    image = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (2, 1, 3))
    scale = Scale(-1, 3)
    steps = [over(image, np.full((1, 1), v), scale) for v in np.linspace(-1, 3, 33)]
    light = np.stack([lightness(step) for step in steps])
    assert (np.diff(light, axis=0) < 0).all()
    assert light[-1].max() < light[0].min()


def test_shades_are_those_of_the_bar_and_end_with_the_scale():
    values = np.linspace(2, 5, 256)[None]
    drawn = shades(values, Scale(2, 5))[0]
    bar = colour_map()(np.arange(256))[:, :3] * 255
    assert_allclose(drawn, bar, atol=1.01)
    beyond = shades(np.array([[0.0, 9.0]]), Scale(2, 5))[0]
    assert_array_equal(beyond, drawn[[0, -1]])
    assert scale_of(np.zeros((2, 2))).share(np.zeros(1)) == 0  # nothing to show


# ---- rows of images


@pytest.mark.parametrize("columns", [1, 7, 8, 9, 19, 40])
def test_each_image_has_a_place_of_its_own_in_its_column(columns):
    images = [np.zeros((2, 2, 3), np.uint8)] * columns
    rows = [Tiles("a", images), Bars("b", np.ones(columns), 1), Tiles("c", images)]
    layout = StripLayout(rows, columns)
    places = list(layout.places())
    for row in (0, 2):
        own = [p for p in places if p.row == row]
        assert [p.index for p in own] == list(range(columns))
    assert len({(p.left, p.top) for p in places}) == 2 * columns
    for p in places:
        assert p.left >= 0 and p.left + p.side <= layout.width
        assert p.top >= 0 and p.top + p.side <= layout.height
    for p, q in itertools.pairwise(places):
        apart = abs(p.left - q.left) >= p.side or abs(p.top - q.top) >= p.side
        assert apart
    above = {p.index: p.left for p in places if p.row == 0}
    assert above == {p.index: p.left for p in places if p.row == 2}
    sizes = [len(band) for band in layout.bands]
    assert sum(sizes) == columns and max(sizes) - min(sizes) <= 1


def test_images_are_drawn_in_their_places():
    """Of more columns than a band has, with words that look like formulas."""
    colours = RNG.integers(0, 256, (2, 11, 1, 1, 3)).astype(np.uint8)
    rows = [
        Tiles("$a$", colours[0], Scale(0, 1), ["$x_1$"] * 11),
        Bars("weight", np.arange(11.0), 10.0, 1.0),
        Tiles("b", colours[1]),
    ]
    drawn = read(strip_png(rows, ["$1"] * 11))
    layout = StripLayout(rows, 11)
    assert_allclose(drawn.shape[:2], (layout.height * DPI, layout.width * DPI), atol=1)
    for place in layout.places():
        y, x = (round((v + place.side / 2) * DPI) for v in (place.top, place.left))
        expected = rows[place.row].images[place.index][0, 0]
        assert_array_equal(drawn[y, x], expected)


def test_an_image_of_several_columns_stands_in_their_middle():
    six, three = [np.zeros((1, 1, 3), np.uint8)] * 6, [np.ones((1, 1, 3), np.uint8)] * 3
    layout = StripLayout([Tiles("a", six), Tiles("b", three)], 6, together=2)
    left = {(p.row, p.index): p.left for p in layout.places()}
    for i in range(3):
        ends = left[0, 2 * i] + left[0, 2 * i + 1]
        assert left[1, i] == pytest.approx(ends / 2)
    wide = StripLayout([Tiles("a", six * 3), Tiles("b", three * 3)], 18, together=2)
    assert [len(band) for band in wide.bands] == [6, 6, 6]
    assert len(list(wide.places())) == 18 + 9
    with pytest.raises(ValueError, match="b: 5 images in 18 columns"):
        strip_png([Tiles("b", six[:5])], [""] * 18)


def test_numbers_are_short():
    values = (0.0, 0.0004, 0.0852, 0.5, 1.0, 12.345, 999.4, 123456.0)
    assert [printed(v) for v in values] == [
        *("0", "4e-4", "0.085", "0.500", "1", "12.3", "999", "1e5")
    ]
