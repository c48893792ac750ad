"""TV-L1 flow against known motion, scikit-image, and the methods beside it."""

from dataclasses import replace

import jax
import jax.export
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from jmer.preprocess import tvl1 as module
from jmer.preprocess.flow import dis, estimate, estimate_pairs, farneback
from jmer.preprocess.pyramid import halved
from jmer.preprocess.tvl1 import SCIKIT_IMAGE, Tvl1, solve, tvl1
from jmer.preprocess.warping import derivatives, medians, warped
from jmer.synthetic.pairs import expression_pair
from jmer.synthetic.spec import SyntheticSpec

QUICK = Tvl1(warps=2, iterations=3)  # one program for all tests of what goes in


def waves(height, width, shift=(0.0, 0.0)):
    """A smooth grey image whose content lies `shift` (right, down) further on."""
    y, x = np.mgrid[:height, :width]
    x, y = x - shift[0], y - shift[1]
    image = np.sin(0.51 * x + 0.2 * y) + np.sin(0.23 * x - 0.44 * y + 1)
    image += np.sin(0.35 * y + 0.09 * x + 2)
    return np.rint(128 + 40 * image).astype(np.uint8)


def faces(size, amplitudes, *, noise=0.0, seed=11):
    """First and second frames, [n, size, size, 3], and the true flow."""
    spec = SyntheticSpec(subjects=6, clips=12, size=size, noise=noise, seed=seed)
    pairs = [expression_pair(spec, 2 * k, a) for k, a in enumerate(amplitudes)]
    return [np.stack(part) for part in zip(*pairs, strict=True)]


def grey(images):
    return images / np.float32(255) @ np.float32([0.299, 0.587, 0.114])


def scikit_image(first, second, **options):
    registration = pytest.importorskip("skimage.registration")
    pairs = zip(first, second, strict=True)
    found = [registration.optical_flow_tvl1(a, b, **options)[::-1] for a, b in pairs]
    return np.moveaxis(np.stack(found), 1, -1)


def errors(flow, true):
    return np.linalg.norm(flow - true, axis=-1)


@pytest.mark.parametrize(("height", "width"), [(44, 51)])
@pytest.mark.parametrize("shift", [(0.5, 0.0), (-0.2, 0.7), (2.6, -1.7)])
def test_a_translation_is_recovered(height, width, shift):
    first, second = waves(height, width), waves(height, width, shift)
    flow = tvl1(first[None], second[None])[0]
    assert flow.shape == (height, width, 2)
    assert flow.dtype == np.float32
    inside = flow[8:-8, 8:-8]
    assert_allclose(np.median(inside, (0, 1)), shift, atol=0.02)
    assert errors(inside, np.float32(shift)).mean() < 0.05


@pytest.mark.parametrize("config", [QUICK, replace(QUICK, cubic=False, median=True)])
def test_without_motion_flow_is_exactly_zero(config):
    first, _, _ = faces(36, [1.0, 1.0], noise=1.0)
    assert not tvl1(first, first, config).any()
    flat = np.full((1, 36, 36, 3), 77, np.uint8)
    assert not tvl1(flat, flat, config).any()


def test_a_pair_is_the_same_alone_and_among_others():
    first, second, _ = faces(38, [0.5, 1.0, 2.0, 0.2, 3.0])
    together = estimate_pairs(first, second, "tvl1")
    assert together.shape == (5, 38, 38, 2)
    for k in (0, 3):
        assert_array_equal(together[k], estimate(first[k], second[k], "tvl1"))
    assert_array_equal(together[1:4], tvl1(first[1:4], second[1:4]))
    assert estimate_pairs(first[:0], second[:0], "tvl1").shape == (0, 38, 38, 2)


def test_batches_of_an_accelerator_give_each_pair_its_flow(monkeypatch):
    first, second, _ = faces(38, [0.5, 1.0, 2.0, 0.2, 3.0])
    alone = tvl1(first, second, QUICK)
    monkeypatch.setattr(module.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(module, "BATCH", 3)
    # Vectors of a batch straddle the pairs, so that sums are rounded elsewhere.
    assert_allclose(tvl1(first, second, QUICK), alone, atol=1e-4)
    assert_array_equal(
        tvl1(first[:1], second[:1], QUICK)[0], tvl1(first, second, QUICK)[0]
    )


@pytest.mark.parametrize("method", [farneback, dis])
def test_the_other_methods_take_pairs_one_by_one(method):
    first, second, _ = faces(34, [0.5, 1.0, 2.0])
    flow = estimate_pairs(first, second, method.__name__)
    assert flow.dtype == np.float32
    assert_array_equal(flow[2], method(first[2], second[2]))
    assert_array_equal(flow[0], estimate(first[0], second[0], method.__name__))
    assert estimate_pairs(first[:0], second[:0], "dis").shape == (0, 34, 34, 2)


def test_colour_is_read_as_rgb():
    first, second = waves(36, 41), waves(36, 41, (1.0, -0.5))
    rgb = [np.repeat(image[None, ..., None], 3, axis=-1) for image in (first, second)]
    as_grey = tvl1(first[None], second[None], QUICK)
    assert_allclose(tvl1(*rgb, QUICK), as_grey, atol=1e-3)
    green, blue = rgb[0].copy(), rgb[0].copy()
    green[..., 1], blue[..., 2] = second, second
    moved = [np.abs(tvl1(rgb[0], image, QUICK)).mean() for image in (green, blue)]
    assert moved[0] > 3 * moved[1]


@pytest.mark.parametrize(
    ("size", "amplitude", "noise", "median"),
    [(64, 1.0, 0.5, False), (96, 3.0, 0.5, False), (128, 2.0, 1.0, False),
     (64, 2.0, 0.0, True)],
)  # fmt: skip
def test_it_is_scikit_images_method(size, amplitude, noise, median):
    """Odd sides too: the first column is left out, and of the largest size a row."""
    first, second, _ = faces(size, [amplitude], noise=noise)
    first, second = (x[:, size // 128 :, 1:] for x in (first, second))
    config = replace(SCIKIT_IMAGE, median=median)
    # Without its early end, to which a median can lead, they agree to rounding.
    expected = scikit_image(grey(first), grey(second), prefilter=median, tol=0)
    flow = tvl1(first, second, config)
    assert np.abs(expected).max() > amplitude / 2
    assert np.median(errors(flow, expected)) < 1e-5
    assert errors(flow, expected).max() < 0.02
    as_it_comes = scikit_image(grey(first), grey(second), prefilter=median)
    assert np.median(errors(flow, as_it_comes)) <= 0.05


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_facial_motion_is_found_better_than_by_the_others(noise):
    """The mean over the image, relative to the other's, in the median clip."""
    parts = [faces(64, [0.5, 1.0, 0.7], noise=noise, seed=s) for s in (11, 12, 13)]
    first, second, true = (np.concatenate(x) for x in zip(*parts, strict=True))
    mean = {
        method: errors(estimate_pairs(first, second, method), true).mean((1, 2))
        for method in ("tvl1", "dis", "farneback")
    }
    assert np.median(mean["tvl1"] / mean["dis"]) < 1
    assert np.median(mean["tvl1"] / mean["farneback"]) < 0.8


def test_half_an_image_is_scikit_images():
    transform = pytest.importorskip("skimage.transform")
    image = np.random.default_rng(0).random((2, 37, 52)).astype(np.float32)
    expected = [transform.pyramid_reduce(x, 2, channel_axis=None) for x in image]
    assert_allclose(halved(image), np.stack(expected), atol=1e-6)


@pytest.mark.parametrize("cubic", [False, True])
def test_an_image_is_seen_where_flow_points(cubic):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:13, :17].astype(np.float32)
    flow = np.stack([0.05 * (y - 3), 0.04 * (x - 7)])[:, None]
    # Cubics are exact for parabolas, lines for what is linear.
    curve = 0.03 * cubic

    def surface(x, y):
        return 2 + 0.3 * x - 0.2 * y + curve * (x**2 - x * y - y**2)

    seen = np.asarray(warped(surface(x, y)[None], flow, cubic=cubic))[0]
    expected = surface(x + flow[0, 0], y + flow[1, 0])
    assert_allclose(seen[3:-3, 3:-3], expected[3:-3, 3:-3], atol=1e-5)
    image = rng.random((1, 13, 17)).astype(np.float32)
    assert_array_equal(warped(image, 0 * flow, cubic=cubic), image)
    far = np.full_like(flow, 99)
    assert_allclose(warped(image, far, cubic=cubic), image[0, -1, -1], rtol=1e-6)


@pytest.mark.parametrize("cubic", [False, True])
def test_derivatives_are_of_their_order(cubic):
    y, x = np.mgrid[:9, :11].astype(np.float32)
    power = 3 if cubic else 2
    image = (0.1 * x) ** power + (0.2 * y) ** power
    across, along = np.asarray(derivatives(image[None], cubic=cubic))[:, 0]
    inside = np.s_[2:-2, 2:-2]
    slope = power * 0.1 * (0.1 * x) ** (power - 1)
    assert_allclose(across[inside], slope[inside], rtol=1e-4, atol=1e-6)
    slope = power * 0.2 * (0.2 * y) ** (power - 1)
    assert_allclose(along[inside], slope[inside], rtol=1e-4, atol=1e-6)


def test_medians_are_scipys():
    flow = np.random.default_rng(2).random((2, 3, 7, 11)).astype(np.float32)
    assert_array_equal(medians(flow), ndimage.median_filter(flow, (1, 1, 3, 3)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((2, 8, 9), np.uint8), np.zeros((2, 9, 8), np.uint8)),
        (np.zeros((2, 8, 9), np.float32), np.zeros((2, 8, 9), np.float32)),
        (np.zeros((2, 8, 9, 4), np.uint8), np.zeros((2, 8, 9, 4), np.uint8)),
        (np.zeros((8, 9), np.uint8), np.zeros((8, 9), np.uint8)),
        (np.zeros((1, 8, 9), np.uint8), np.zeros((2, 8, 9), np.uint8)),
        (np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)),
    ],
)
def test_what_is_no_batch_of_pairs_is_refused(first, second):
    with pytest.raises(ValueError, match=r"8, 9"):
        tvl1(first, second)


def test_the_program_exports_for_every_backend():
    image = jax.ShapeDtypeStruct((3, 70, 51, 3), np.uint8)
    export = jax.export.export(solve, platforms=["cpu", "cuda", "tpu"])
    exported = export(image, image, replace(QUICK, median=True))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert exported.out_avals[0].shape == (3, 70, 51, 2)
