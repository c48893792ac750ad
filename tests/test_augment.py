"""Changes of training clips: geometry, vectors, and who depends on what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numeric import normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer import augment, keys
from jmer.nn.lowering.choice import use_lowering

KEY = keys.seed_key(0)
SIZE = (9, 11)  # height, width
CLIPS = normal(0, 7, 3, *SIZE, 2)
RANDOM = {
    "flip": augment.random_flip,
    "crop": functools.partial(
        augment.random_corner_crop, window=0.8, scales=(0.9, 1.0, 1.1)
    ),
    "rotate": functools.partial(augment.random_rotate, degrees=10.0),
}


def motion(x, y):
    """An affine motion field, vectors [..., 2] at positions in pixels."""
    return np.stack([2 + 0.3 * x - 0.1 * y, -1 + 0.05 * x + 0.2 * y], -1)


def field(size=SIZE, channels=motion):
    """Three clips of `channels` at all pixels, multiples of one another."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    clip = channels(x, y)
    return np.stack([clip, 2 * clip, -clip]).astype(np.float32)


def inside(flow, margin=2):
    """Without the pixels near the edge, which repeat it."""
    return flow[:, margin:-margin, margin:-margin]


def test_five_windows_are_where_they_are_called():
    """The last pixel of each window keeps its distance from the window's edge."""
    x = field((8, 12), lambda x, y: np.stack([x, y], -1))[:1].repeat(5, 0)
    found = augment.corner_crop(x, np.arange(5), 0.5)
    # Windows of 6 x 4 pixels on 12 x 8: each pixel becomes two, at -1/4 and +1/4.
    corners = [(0, 0), (6, 0), (0, 4), (6, 4), (3, 2)]
    for clip, (left, top) in zip(found, corners, strict=True):
        across = np.clip(left - 0.25 + 0.5 * np.arange(12), 0, 11)
        down = np.clip(top - 0.25 + 0.5 * np.arange(8), 0, 7)
        assert_allclose(clip[..., 0], np.tile(across, (8, 1)), atol=1e-5)
        assert_allclose(clip[..., 1], np.tile(down[:, None], (1, 12)), atol=1e-5)


def test_a_cropped_motion_is_the_motion_of_the_cropped_clip():
    """Two points that a field carries along stay together after the crop."""
    scale, window = np.float32([0.9, 1.0, 1.1]), 0.75
    place = np.array([3, 1, 4])
    found = augment.corner_crop(field(), place, window, scale=scale, vectors=True)
    factor = scale / window
    start = np.array(augment.PLACES)[place] * np.array(SIZE[::-1])
    start = start * (1 - 1 / factor)[:, None]
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    for i, gain in enumerate((1, 2, -1)):
        source = motion(
            x / factor[i] + start[i, 0] - 0.5, y / factor[i] + start[i, 1] - 0.5
        )
        expected = gain * factor[i] * source
        assert_allclose(found[i, 2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-4)


def test_the_whole_window_changes_nothing():
    found = augment.corner_crop(CLIPS, np.arange(7) % 5, 1.0, vectors=True)
    assert_array_equal(found, CLIPS)


def test_rescaled_motion_is_in_pixels_of_the_new_size():
    found = augment.rescale(field(), (18, 33), vectors=True)
    y, x = np.mgrid[:18, :33] + 0.5
    expected = motion(x / 3 - 0.5, y / 2 - 0.5) * [3, 2]
    expected = np.stack([expected, 2 * expected, -expected])
    assert_allclose(inside(found), inside(expected), atol=1e-4)


def test_rescaling_is_pytorchs():
    torch = pytest.importorskip("torch")
    x = CLIPS[:, 0]
    for size in ((18, 33), (7, 12), (9, 11)):
        expected = torch.nn.functional.interpolate(
            torch.tensor(x).movedim(-1, 1), size, mode="bilinear", align_corners=False
        )
        found = augment.rescale(x, size)
        assert_allclose(found, expected.movedim(1, -1), rtol=1e-4, atol=1e-5)


def test_a_quarter_turn_is_numpys():
    square = normal(1, 2, 3, 8, 8, 5)
    found = augment.rotate(square, np.float32([90, -90]))
    for clip, turned, times in zip(square, found, (1, -1), strict=True):
        assert_allclose(turned, np.rot90(clip, times, axes=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("degrees", [10.0, -37.0, 90.0])
def test_a_turned_motion_is_the_motion_of_the_turned_clip(degrees):
    size = (11, 11)
    found = augment.rotate(field(size), np.float32([degrees] * 3), vectors=True)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    forward = np.array([[cos, sin], [-sin, cos]])  # of (x, y), y down
    y, x = np.mgrid[:11, :11] - 5.0
    before = np.stack([x, y], -1) @ forward + 5  # the inverse turn, from the right
    expected = motion(before[..., 0], before[..., 1]) @ forward.T
    expected = np.stack([expected, 2 * expected, -expected])
    assert_allclose(inside(found, 3), inside(expected, 3), atol=1e-4)


def test_edges_are_repeated():
    x = np.zeros((1, 4, 6, 1), np.float32)
    x[:, -1] = 1
    shift = np.float32([[[1, 0, 0], [0, 1, 9]]])
    assert_array_equal(augment.warp(x, shift), np.ones_like(x))


def test_a_mirrored_motion_points_the_other_way():
    flips = jax.vmap(lambda key: augment.random_flip(CLIPS, key, vectors=True))
    for found in flips(jax.random.split(KEY, 3)):
        for clip, was in zip(found, CLIPS, strict=True):
            mirrored = was[:, :, ::-1] * np.float32([-1, 1])
            assert (clip == was).all() or (clip == mirrored).all()
    again = augment.random_flip(flips(KEY[None])[0], KEY, vectors=True)
    assert_array_equal(again, CLIPS)


@pytest.mark.parametrize("name", RANDOM)
def test_keys_decide_clips_apart(name):
    change = jax.jit(functools.partial(RANDOM[name], vectors=True))
    found = change(CLIPS, key=KEY)
    assert found.shape == CLIPS.shape
    assert_array_equal(change(CLIPS, key=KEY), found)
    assert (change(CLIPS, key=keys.named(KEY, "other")) != found).any()
    noisy = CLIPS.copy()
    noisy[[1, 4]] = 100 * CLIPS[[1, 4]] ** 3 + 7
    kept = np.array([0, 2, 3, 5, 6])
    assert_array_equal(change(noisy, key=KEY)[kept], found[kept])
    # Not all clips change alike.
    same = change(np.broadcast_to(CLIPS[:1], CLIPS.shape), key=KEY)
    assert (same != same[:1]).any()


@pytest.mark.parametrize("name", RANDOM)
def test_frames_of_a_clip_change_alike(name):
    change = functools.partial(RANDOM[name], key=KEY, vectors=True)
    together = change(CLIPS)
    for t in range(CLIPS.shape[1]):
        assert_allclose(change(CLIPS[:, t]), together[:, t], rtol=1e-6, atol=1e-6)


def test_random_windows_and_scales_are_all_drawn():
    x = field(SIZE, lambda x, y: np.stack([x, y], -1))[:1].repeat(300, 0)
    found = augment.random_corner_crop(x, KEY, 0.8, scales=(0.9, 1.0, 1.1))
    seen = {tuple(np.round(clip[4, 5], 3)) for clip in np.asarray(found)}
    # The centre shows the same at every scale.
    assert len(seen) == 4 * 3 + 1
    degrees = 20.0
    turned = augment.random_rotate(x, KEY, degrees)[:, 4, 9] - np.array([5, 4])
    angle = np.degrees(np.arctan2(turned[:, 1], turned[:, 0]))
    assert np.abs(angle).max() <= degrees
    assert angle.min() < -18
    assert angle.max() > 18


@pytest.mark.parametrize("window", [0.0, 0.95])
def test_windows_that_do_not_fit_are_refused(window):
    with pytest.raises(ValueError, match="window"):
        augment.random_corner_crop(CLIPS, KEY, window, scales=(0.9, 1.1))


def test_channels_of_a_clip_become_standard():
    x = CLIPS * np.float32([3, 0.001]) + np.float32([1000, 5])
    found = augment.normalise_clip(x)
    pixels = (1, 2, 3)
    assert_allclose(found.mean(pixels), 0, atol=1e-4)
    assert_allclose(found.std(pixels), 1, atol=1e-3)
    wide = x.astype(np.float64)
    expected = wide - wide.mean(pixels, keepdims=True)
    expected /= wide.std(pixels, keepdims=True)
    assert_allclose(found, expected, atol=2e-3)


def test_a_clip_is_divided_by_one_deviation_where_asked():
    """MERANet, section 4.2: "the mean values ... for each channel", and then "each
    sample is normalized by the standard deviation". By hand: two channels, -1 and 1,
    and -3 and 3 about their means, so that the deviation is the root of (1 + 9) / 2.
    """
    x = np.float32([[[[9, 2]], [[11, 8]]], [[[0, 5]], [[0, 5]]]])  # b h w c
    found = augment.normalise_clip(x, "sample")
    root = np.sqrt(5)
    assert_allclose(found[0, :, 0], np.array([[-1, -3], [1, 3]]) / root, rtol=1e-6)
    assert_array_equal(found[1], 0)  # nothing varies
    each = augment.normalise_clip(x)
    assert_allclose(each[0, :, 0], [[-1, -1], [1, 1]], rtol=1e-6)
    wide = CLIPS.astype(np.float64) - CLIPS.mean((1, 2, 3), keepdims=True)
    wide /= wide.std((1, 2, 3, 4), keepdims=True)
    assert_allclose(augment.normalise_clip(CLIPS, "sample"), wide, atol=1e-4)


@pytest.mark.parametrize("value", [0, 0.1, 1 / 3, 255, 1e6])
def test_a_still_channel_becomes_zero(value):
    x = np.full((2, 16, 56, 56, 1), value, np.float32)
    assert_array_equal(augment.normalise_clip(x), np.zeros_like(x))


def test_images_of_bytes_can_be_changed():
    image = np.arange(2 * 5 * 7 * 3, dtype=np.uint8).reshape(2, 5, 7, 3)
    found = augment.corner_crop(image, np.array([0, 3]), 1.0)
    assert found.dtype == jnp.float32
    assert_array_equal(found, image)
    assert_allclose(augment.normalise_clip(image).std((1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize("vectors", [False, True])
def test_crops_by_products_are_those_by_pixels(vectors):
    """What an accelerator makes of them."""
    x = normal(3, 2, 9, 11, 2)
    found = []
    for lowering in ("patches", "tpu", "gpu"):
        with use_lowering(lowering):
            found.append(
                augment.random_corner_crop(
                    x, jax.random.key(1), 0.8, scales=(0.9, 1.1), vectors=vectors
                )
            )
    assert_allclose(found[1], found[0], rtol=1e-5, atol=2e-6)
    assert_array_equal(found[2], found[1])


@pytest.mark.parametrize("deviation", ["channel", "sample"])
def test_clips_are_normalised_by_rows_on_a_tpu(deviation):
    x = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 5, 3)).astype(np.uint8)
    x[1, ..., 2] = 77  # a channel that does not vary
    found = []
    for lowering in ("backend", "tpu"):
        with use_lowering(lowering):
            found.append(jax.jit(functools.partial(normalise, deviation))(x))
    assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)


def normalise(deviation, x):
    return augment.normalise_clip(x, deviation)
