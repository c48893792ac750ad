"""Optical flow and strain against motions that are known exactly."""

import cv2
import numpy as np
import pytest

from jmer.preprocess.flow import apex_flow, dis, farneback, optical_strain


def blotches(height, width, shift=(0.0, 0.0)):
    """A smooth grey image whose content lies `shift` (right, down) further on."""
    rng = np.random.default_rng(7)
    image = np.full((height, width), 128.0)
    y, x = np.mgrid[:height, :width]
    for _ in range(150):
        cx, cy = rng.uniform(-8, width + 8), rng.uniform(-8, height + 8)
        squared = (x - shift[0] - cx) ** 2 + (y - shift[1] - cy) ** 2
        image += rng.normal(0, 30) * np.exp(-squared / (2 * rng.uniform(2, 4) ** 2))
    return np.rint(image).clip(0, 255).astype(np.uint8)


def linear_flow(height, width, matrix):
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=-1) @ np.float32(matrix).T


@pytest.mark.parametrize("method", [farneback, dis])
@pytest.mark.parametrize("shift", [(0.5, 0.0), (-0.2, 0.7), (2.6, -1.7)])
def test_a_translation_is_recovered(method, shift):
    flow = method(blotches(56, 44), blotches(56, 44, shift))
    assert flow.shape == (56, 44, 2)
    assert flow.dtype == np.float32
    inside = flow[8:-8, 8:-8]
    np.testing.assert_allclose(np.median(inside, (0, 1)), shift, atol=0.05)
    assert np.linalg.norm(inside - shift, axis=-1).mean() < 0.1


def test_farneback_reads_colour_as_rgb():
    first, second = blotches(40, 36), blotches(40, 36, (1.0, -0.5))
    grey = farneback(first, second)
    as_rgb = [np.repeat(image[..., None], 3, axis=-1) for image in (first, second)]
    np.testing.assert_allclose(farneback(*as_rgb), grey, atol=1e-5)
    # Motion in green alone moves the grey image; in blue alone hardly.
    green, blue = as_rgb[0].copy(), as_rgb[0].copy()
    green[..., 1], blue[..., 2] = second, second
    moved = [np.abs(farneback(as_rgb[0], image)).mean() for image in (green, blue)]
    assert moved[0] > 3 * moved[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((8, 9), np.uint8), np.zeros((9, 8), np.uint8)),
        (np.zeros((8, 9), np.float32), np.zeros((8, 9), np.float32)),
        (np.zeros((8, 9, 4), np.uint8), np.zeros((8, 9, 4), np.uint8)),
    ],
)
@pytest.mark.parametrize("method", [farneback, dis])
def test_what_is_no_pair_of_images_is_refused(method, first, second):
    with pytest.raises(ValueError, match=r"\(8, 9"):
        method(first, second)


def test_dis_refuses_images_too_small_for_its_patches():
    image = np.zeros((11, 40), np.uint8)
    with pytest.raises(ValueError, match=r"12 x 12 or more, got \(11, 40\)"):
        dis(image, image)


def test_strain_of_a_linear_field_is_analytic():
    flow = linear_flow(11, 7, [[0.03, 0.05], [-0.01, -0.02]])
    expected = np.sqrt(0.03**2 + 0.02**2 + 2 * ((0.05 - 0.01) / 2) ** 2)
    strain = optical_strain(flow)
    assert strain.shape == (11, 7)
    assert strain.dtype == np.float32
    np.testing.assert_allclose(strain, expected, rtol=1e-4)


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), [[0, -0.04], [0.04, 0]]])
def test_rigid_motion_has_no_strain(matrix):
    flow = linear_flow(9, 13, matrix) + np.float32([1.5, -0.5])
    np.testing.assert_allclose(optical_strain(flow), 0, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 7, 2)])
def test_strain_refuses_what_is_no_flow(shape):
    with pytest.raises(ValueError, match="expected flow"):
        optical_strain(np.zeros(shape, np.float32))


def test_apex_flow_rescales_vectors_with_the_image(monkeypatch):
    # u = 0.1 x and v = 0.2 y in an image of 24 x 40, shrunk to 8 x 8.
    known = linear_flow(24, 40, [[0.1, 0], [0, 0.2]])
    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", lambda *_, **__: known)
    result = apex_flow(np.zeros((3, 24, 40), np.uint8), 0, 2, 8)
    assert result.shape == (8, 8, 3)
    assert result.dtype == np.float32
    # An output pixel i averages 5 columns about 5 i + 2, or 3 rows about 3 i + 1.
    i = np.arange(8)
    u = np.broadcast_to(0.1 * (5 * i + 2) * 8 / 40, (8, 8))
    v = np.broadcast_to(0.2 * (3 * i + 1) * 8 / 24, (8, 8)).T
    np.testing.assert_allclose(result[..., 0], u, rtol=1e-5)
    np.testing.assert_allclose(result[..., 1], v, rtol=1e-5)
    # Strain has no unit: taken after the resize, it is that of the full field.
    np.testing.assert_allclose(result[..., 2], np.hypot(0.1, 0.2), rtol=1e-4)


def test_apex_flow_is_estimated_as_it_is_told():
    clip = np.stack([blotches(24, 24), blotches(24, 24, (0.5, 1.0))])
    one, other = (apex_flow(clip, 0, 1, 24, m)[..., :2] for m in ("dis", "farneback"))
    np.testing.assert_array_equal(one, dis(*clip))
    np.testing.assert_array_equal(other, farneback(*clip))
    assert np.abs(one - other).max() > 1e-3


def test_apex_flow_reads_the_two_frames_that_it_is_told():
    clip = np.stack([blotches(48, 48, (s, 0.0)) for s in (9.0, 0.0, 4.0, 1.0)])
    small = apex_flow(clip, 1, 3, 16)
    assert np.median(small[..., 0]) == pytest.approx(1 / 3, abs=0.03)
    large = apex_flow(clip, 3, 1, 96)
    assert np.median(large[..., 0]) == pytest.approx(-2, abs=0.1)


@pytest.mark.parametrize(
    ("onset", "apex", "size", "named"),
    [(-1, 2, 8, "onset=-1"), (0, 3, 8, "apex=3"), (0, 1, 1, "size=1")],
)
def test_apex_flow_refuses_missing_frames(onset, apex, size, named):
    with pytest.raises(ValueError, match=named):
        apex_flow(np.zeros((3, 12, 10), np.uint8), onset, apex, size)
