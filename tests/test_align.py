"""Squares cut from frames: known answers, and motion that survives."""

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from jmer.preprocess.align import MARGIN, POINTS, TEMPLATE, Box, Pose
from jmer.preprocess.flow import dis
from jmer.preprocess.tensors import resize
from jmer.synthetic.rendering import render_clip
from jmer.synthetic.spec import SyntheticSpec

TURNS = [(0.0, 37.0), (20.0, 53.0), (-75.0, 23.5), (180.0, 101.0)]


def moved(points, degrees, scale, shift):
    """`points` turned clockwise about 0, scaled and shifted, one by one."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = [(cos * x - sin * y, sin * x + cos * y) for x, y in points]
    return scale * np.array(turned) + shift


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(("degrees", "scale"), TURNS)
def test_template_points_land_where_the_template_says(degrees, scale):
    points = moved(TEMPLATE, degrees, scale, (31.25, -7.5))
    pose = Pose.of(points)
    assert_allclose(pose.to_face(points), TEMPLATE, atol=1e-12)
    assert_allclose(pose.to_frame(TEMPLATE), points, atol=1e-9)
    assert_allclose(pose.side, scale)


def test_the_template_is_a_face_seen_from_the_front():
    left_eye, right_eye, nose, mouth_left, mouth_right = TEMPLATE
    assert dict(zip(POINTS, TEMPLATE, strict=True))["nose"] is not None
    for left, right in ((left_eye, right_eye), (mouth_left, mouth_right)):
        assert_allclose(left + right, (1, 2 * left[1]))
    assert left_eye[1] < nose[1] < mouth_left[1] and nose[0] == 0.5


def test_of_other_points_the_squared_distance_is_least():
    points = np.random.default_rng(1).uniform(0, 90, (5, 2))
    rows = [[(x, -y, 1, 0), (y, x, 0, 1)] for x, y in points]
    solved, *_ = np.linalg.lstsq(np.reshape(rows, (10, 4)), TEMPLATE.ravel())
    pose = Pose.of(points)
    found = (pose.turn.real, pose.turn.imag, pose.shift.real, pose.shift.imag)
    assert_allclose(found, solved, atol=1e-12)


def square_at(x, y, side, quarter=0):
    """The points of a face that fills a box of pixels, after quarter turns."""
    middle = np.array([x, y]) + (side - 1) / 2
    return moved(TEMPLATE - 0.5, 90 * quarter, side, middle)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_a_square_on_the_grid_is_the_mean_of_its_pixels(quarter):
    frame = noise(47, 61, 3)
    pose = Pose.of(square_at(13, 5, 33, quarter))
    inside = np.rot90(frame[5:38, 13:46], quarter)
    assert_array_equal(pose.cut(frame), inside)
    means = inside.reshape(11, 3, 11, 3, 3).mean((1, 3))
    assert_allclose(pose.cut(frame, 11), means, atol=0.5001)


def test_what_is_too_fine_becomes_grey():
    """Sampled at the pixels of the small image alone, it would become stripes."""
    checked = np.indices((90, 90)).sum(0) % 2 * 255
    frame = np.repeat(checked[..., None], 3, axis=-1).astype(np.uint8)
    face = Pose.of(moved(TEMPLATE - 0.5, 17, 70, (44, 43))).cut(frame, 10)
    assert_allclose(face[1:-1, 1:-1], 127, atol=12)


@pytest.mark.parametrize("size", [None, 8, 40])
def test_a_box_is_a_slice(size):
    frame = noise(31, 43, 3)
    expected = frame[4:23, 20:39]
    if size:
        expected = resize(expected[None], size)[0]
    assert_array_equal(Box(20, 4, 19).cut(frame, size), expected)


@pytest.mark.parametrize("corner", [(-6, 3), (9, -11), (30, 17), (-3, -60), (80, 2)])
def test_beyond_the_border_the_nearest_pixel_is_repeated(corner):
    frame, (x, y) = noise(31, 43, 3), corner
    wide = np.pad(frame, ((70, 70), (70, 70), (0, 0)), "edge")
    expected = wide[70 + y : 87 + y, 70 + x : 87 + x]
    assert_array_equal(Box(x, y, 17).cut(frame), expected)
    assert_array_equal(Pose.of(square_at(x, y, 17)).cut(frame), expected)


def test_boxes_of_points_and_of_detections():
    assert Box.of(square_at(13, 5, 33)) == Box(13, 5, 33)
    turned = Box.of(square_at(13, 5, 33, 1))
    assert turned == Box(13, 5, 33)  # upright about the same middle
    # 30 x 40 from (100, 50): 40 and a margin of 4 at each end, about (114.5, 69.5).
    assert MARGIN == 0.1
    assert Box.around(100, 50, 30, 40) == Box(91, 46, 48)


def clip():
    """A face of 96 pixels in a frame of 160, and its points."""
    spec = SyntheticSpec(subjects=2, clips=6, length=4, size=96, seed=3)
    frames = render_clip(spec, 1).frames
    frames = np.stack([cv2.GaussianBlur(f, (0, 0), 1.2) for f in frames])
    wide = np.pad(frames, ((0, 0), (32, 32), (32, 32), (0, 0)), "edge")
    return wide, square_at(32, 32, 96)


def turned_clip(frames, degrees, scale):
    """The same about the middle of the frame, sampled by SciPy from where it was."""
    middle = 79.5
    y, x = np.indices((160, 160)) - middle
    back = moved(np.stack([x, y], -1).reshape(-1, 2), -degrees, 1 / scale, middle)
    places = back[:, ::-1].T.reshape(2, 160, 160)

    def sampled(channel):
        return ndimage.map_coordinates(channel, places, order=3, mode="nearest")

    made = [
        np.stack([sampled(f[..., c].astype(float)) for c in range(3)], -1)
        for f in frames
    ]
    return np.rint(np.clip(made, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize(("degrees", "scale"), [(13.0, 0.9), (-24.0, 1.15)])
@pytest.mark.parametrize("size", [32, 96])
def test_a_turned_clip_is_aligned_as_its_upright_version(degrees, scale, size):
    frames, points = clip()
    turned = turned_clip(frames, degrees, scale)
    there = moved(points - 79.5, degrees, scale, 79.5)
    upright = np.stack([Pose.of(points).cut(f, size) for f in frames])
    aligned = np.stack([Pose.of(there).cut(f, size) for f in turned])
    assert aligned.shape == (4, size, size, 3)
    difference = np.abs(aligned.astype(float) - upright)
    assert difference.mean() < 0.8 and np.quantile(difference, 0.99) < 6
    as_it_was = np.stack([Box.of(there).cut(f, size) for f in turned])
    assert np.abs(as_it_was.astype(float) - upright).mean() > 5


@pytest.mark.parametrize(
    ("kind", "factor"), [("pose", 0.5), ("pose", 1.5), ("box", 0.5)]
)
def test_motion_survives(kind, factor):
    """A texture that moves by (1.6, -0.7) pixels does so, turned and scaled."""
    rng = np.random.default_rng(5)
    waves = rng.uniform(-0.35, 0.35, (12, 2))
    phases = rng.uniform(0, 2 * np.pi, 12)

    def frame(dx, dy):
        y, x = np.indices((120, 130))
        tone = sum(
            np.sin(a * (x - dx) + b * (y - dy) + p)
            for (a, b), p in zip(waves, phases, strict=True)
        )
        return np.repeat((127 + 20 * tone)[..., None].clip(0, 255), 3, -1).astype(
            np.uint8
        )

    motion = np.array([1.6, -0.7])
    degrees = 30 if kind == "pose" else 0
    points = moved(TEMPLATE - 0.5, degrees, 64, (66, 58))
    square = (Pose if kind == "pose" else Box).of(points)
    size = round(64 * factor)
    flow = dis(*(square.cut(frame(*m), size) for m in ((0, 0), motion)))
    inner = flow[size // 5 : -size // 5, size // 5 : -size // 5]
    expected = moved([motion], -degrees, factor, 0)[0]
    assert_allclose(np.median(inner, axis=(0, 1)), expected, atol=0.06)
    error = np.linalg.norm(inner - expected, axis=-1)
    assert np.median(error) < 0.1
