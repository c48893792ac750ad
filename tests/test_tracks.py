"""Tracks and colours of flow against motions that are known exactly."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jmer.errors import UsageError
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.flow_colours import flow_colours
from jmer.preprocess.tensors import features, resize
from jmer.preprocess.tracks import straight_tracks, tracks

GREY = 90
GREEN, RED = (0, 255, 0), (255, 0, 0)


def squares(places, height=61, width=83):
    """Bright squares of 5 x 5 on flat grey, centred at `places` (right, down)."""
    image = np.full((height, width, 3), GREY, np.uint8)
    for x, y in places:
        image[y - 2 : y + 3, x - 2 : x + 3] = 230
    return image


def where(image, colour):
    """Places (right, down) of all pixels of `colour`, [n, 2]."""
    return np.argwhere((image == colour).all(-1))[:, ::-1]


def moved(start, step, frames):
    x, y = start
    return [(x + step[0] * t, y + step[1] * t) for t in range(frames)]


def corners_at(monkeypatch, *places):
    """Corners that are found, and the ways that they go."""
    start = np.float32([[place] for place, _ in places])
    end = np.float32([[way] for _, way in places])
    asked = {}

    def good(grey, **options):
        asked.update(options)
        return start

    def flow(first, last, points, none, **options):
        asked.update(options)
        return end, np.ones((len(end), 1), np.uint8), None

    monkeypatch.setattr("cv2.goodFeaturesToTrack", good)
    monkeypatch.setattr("cv2.calcOpticalFlowPyrLK", flow)
    return asked


def test_the_authors_drawing_of_one_track(monkeypatch):
    """A line of five pixels from 40 to 48 on row 30 (OpenCV rounds its outline to one
    more on either side), and over it a disc of radius 2 at either end."""
    asked = corners_at(monkeypatch, ((40.9, 30.2), (48.7, 30.9)))
    image = straight_tracks(squares([]), squares([]))
    assert set(map(tuple, image.reshape(-1, 3))) == {(0, 0, 0), GREEN, RED}
    assert abs(where(image, GREEN)[:, 1] - 30).max() in (2, 3)
    assert_array_equal(image[28:33, 44], [GREEN] * 5)
    red = where(image, RED)
    # Whole pixels are cut off, not rounded.
    for x in (40, 48):
        own = red[np.abs(red[:, 0] - x) <= 2]
        assert_array_equal([own.min(0), own.max(0)], [[x - 2, 28], [x + 2, 32]])
        assert own.mean(0).tolist() == [x, 30]
    # The parameters of `getoptflow`.
    options = {"maxCorners": 100, "qualityLevel": 0.3, "minDistance": 7, "blockSize": 7}
    assert {name: asked[name] for name in options} == options
    assert (asked["winSize"], asked["maxLevel"]) == ((15, 15), 2)
    assert asked["criteria"] == (3, 10, 0.03)


def test_the_authors_drawing_keeps_what_hardly_moves(monkeypatch):
    corners_at(monkeypatch, ((20, 20), (20, 20)), ((60, 40), (61, 41)))
    image = straight_tracks(squares([]), squares([]))
    assert (image[20, 20] == RED).all()
    assert (image[40, 60] == RED).all()
    assert (image[41, 61] == RED).all()


@pytest.mark.parametrize("step", [1, 2])
def test_motion_of_a_pixel_or_two_is_drawn_and_shrunk_afterwards(step):
    """Where the thin tracks of shrunk frames are black."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (60, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([np.roll(texture, step * i, axis=1) for i in (0, 1, 2)])
    made = {
        kind: features(
            ClipRecipe(size=120, special="of", tracks=kind), frames, (0, 1, 2), "a"
        )[0]["special"]
        for kind in ("direct", "chained")
    }
    drawn = [straight_tracks(*frames[i : i + 2]) for i in (0, 1)]
    assert_array_equal(made["direct"], resize(np.stack(drawn), 120))
    assert all(image.any(-1).sum() > 100 for image in made["direct"])
    assert step > 1 or not made["chained"].any()


def test_bilinear_frames_are_of_four_pixels_alone():
    """By hand: each of 2 x 2 pixels of 8 x 8 has its centre between pixels 1 and 2, or
    5 and 6, in both directions; area means are of 4 x 4."""
    frame = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(3, axis=3)
    made = resize(frame, 2, "bilinear")[0, ..., 0]
    # (9 + 10 + 17 + 18) / 4 = 13.5, and 4 or 32 more; halves are rounded to even or up.
    assert np.abs(made - [[13.5, 17.5], [45.5, 49.5]]).max() == 0.5
    spots = np.zeros((1, 8, 8, 3), np.uint8)
    spots[0, 0, 0] = 160  # a corner that bilinear does not see
    assert not resize(spots, 2, "bilinear").any()
    assert resize(spots, 2)[0, 0, 0, 0] == 10


def test_without_corners_the_authors_drawing_is_black():
    flat = np.full((40, 50, 3), GREY, np.uint8)
    assert not straight_tracks(flat, flat).any()


@pytest.mark.parametrize("step", [(3, 0), (0, -2), (-2, 2)])
def test_a_track_is_as_long_as_the_way_and_ends_in_red(step):
    way = moved((40, 30), step, 5)
    image = tracks(np.stack([squares([place]) for place in way]))
    assert image.dtype == np.uint8
    assert set(map(tuple, image.reshape(-1, 3))) == {(0, 0, 0), GREEN, RED}
    # A square is one to four corners, at most 3 pixels from its centre; a dot is
    # one pixel larger.
    red, green = where(image, RED), where(image, GREEN)
    assert np.abs(red - way[-1]).max() <= 4
    along = np.array(step) / np.hypot(*step)
    progress = (green - way[0]) @ along
    assert progress.min() >= -5
    assert progress.max() <= np.hypot(*step) * 4 + 5
    # From the start of the line to its end, under the dot, is the way itself.
    length = (red.mean(0) - way[0]) @ along
    assert length == pytest.approx(4 * np.hypot(*step), abs=3)
    assert len(green) >= np.abs(step).max() * 4 - 4
    across = (green - way[0]) @ [-along[1], along[0]]
    assert np.abs(across).max() <= 5


def test_one_corner_draws_exactly_its_way(monkeypatch):
    corner = np.float32([[[40, 30]]])
    monkeypatch.setattr("cv2.goodFeaturesToTrack", lambda *_, **__: corner)
    image = tracks(np.stack([squares([p]) for p in moved((40, 30), (3, 0), 5)]))
    # The dot covers the last two pixels of the line and the three rows about them.
    assert_array_equal(where(image, GREEN), [(x, 30) for x in range(40, 51)])
    dot = [(52, 29), (51, 30), (52, 30), (53, 30), (52, 31)]
    assert set(map(tuple, where(image, RED))) == set(dot)


def test_what_stands_still_is_black():
    frames = [squares([(16, 16), place]) for place in moved((60, 40), (0, 2), 4)]
    image = tracks(np.stack(frames))
    assert image[:, 40:].any()
    assert not image[:, :40].any()
    noise = np.random.default_rng(5).normal(0, 2, (4, 61, 83, 3))
    still = np.rint(squares([(16, 16), (60, 40)]) + noise).astype(np.uint8)
    assert not tracks(still).any()


@pytest.mark.parametrize("size", [4, 17, 50])
def test_nothing_to_follow_is_black(size):
    flat = np.full((3, size, size, 3), GREY, np.uint8)
    flat[1:] += np.uint8([[[[20]]], [[[60]]]])
    assert not tracks(flat).any()


def test_a_single_frame_is_black():
    image = tracks(squares([(30, 30)])[None])
    assert image.shape == (61, 83, 3)
    assert not image.any()


def test_a_lost_track_has_no_red_end():
    ways = zip(moved((15, 20), (2, 0), 9), moved((50, 40), (2, 0), 9), strict=True)
    # The second square is gone after five frames.
    frames = [squares(both[: 2 if t < 5 else 1]) for t, both in enumerate(ways)]
    image = tracks(np.stack(frames))
    assert where(image, GREEN)[:, 0].max() > 55
    red = where(image, RED)
    assert len(red)
    assert red[:, 0].max() < 40


def test_hue_is_direction_and_brightness_speed():
    flow = np.zeros((2, 1, 4, 2), np.float32)
    flow[0, 0] = [(2, 0), (-1, 0), (0, 0), (-1, np.sqrt(3))]
    flow[1, 0, 0] = 1, 0
    image = flow_colours(flow)
    assert image.dtype == np.uint8
    expected = [[255, 0, 0], [0, 128, 128], [0, 0, 0], [0, 255, 0]]
    np.testing.assert_allclose(image[0, 0].astype(int), expected, atol=1)
    # Beside the fastest pixel of both fields, not of its own.
    np.testing.assert_allclose(image[1, 0, 0].astype(int), [128, 0, 0], atol=1)
    assert not flow_colours(np.zeros((2, 3, 5, 2), np.float32)).any()


def test_an_apex_at_the_onset_leaves_the_first_image_black():
    frames = np.stack([squares([p], 60, 60) for p in moved((20, 30), (2, 0), 6)])
    for special in ("of", "dense"):
        recipe = ClipRecipe(frames=3, size=60, special=special, tracks="chained")
        made, _ = features(recipe, frames, (1, 1, 5), "a")
        assert made["special"].shape == (2, 60, 60, 3)
        assert made["special"].dtype == np.uint8
        assert not made["special"][0].any()
        assert made["special"][1].any()


def test_dense_images_of_dis_need_its_size():
    with pytest.raises(UsageError, match="size=11: flow=dis needs at least 12"):
        ClipRecipe(size=11, special="dense", flow="dis")
    ClipRecipe(size=11, special="of", flow="dis")
