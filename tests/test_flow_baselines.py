"""Features of flow and of gradients against plain loops, by hand and scikit-image."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage.feature import hog

from jmer.baselines.bi_woof import BiWoofConfig
from jmer.baselines.flow_pixels import FlowPixelsConfig
from jmer.baselines.hog3d import Hog3dConfig
from jmer.baselines.hoof import HoofConfig
from jmer.baselines.lbp_sip import LbpSipConfig
from jmer.baselines.mdmo import MdmoConfig
from jmer.baselines.regions import COUNT, corners, drawn, middles, regions
from jmer.errors import UsageError
from jmer.preprocess.points68 import TEMPLATE_68

RNG = np.random.default_rng(7)


def flows(n, size):
    flow = RNG.normal(size=(n, size, size, 3)).astype(np.float32)
    flow[..., 2] = np.abs(flow[..., 2])
    return flow


def features(network, **inputs):
    found = np.asarray(jax.jit(network.features)(inputs))
    assert found.dtype == np.float32 and found.shape[1] == network.width
    return found


def cell_of(place, size, count):
    return max(i for i in range(count) if place >= i * size // count)


def angle_bin(x, y, count, span=2 * math.pi):
    return min(int((math.atan2(y, x) + 1e-5) % span / span * count), count - 1)


@pytest.mark.parametrize("mirrored", [False, True])
def test_hoof_is_that_of_a_plain_loop(mirrored):
    network = HoofConfig(size=11, blocks=3, bins=5, mirrored=mirrored)
    flow = flows(2, 11)
    for own, found in zip(flow, features(network, apex_flow=flow), strict=True):
        made = np.zeros((3, 3, 5))
        for y in range(11):
            for x in range(11):
                u, v, _ = own[y, x]
                # Mirrored, an angle from straight up (0) to straight down (π).
                k = angle_bin(u, v, 5)
                if mirrored:
                    k = min(int(math.acos(-v / math.hypot(u, v)) / math.pi * 5), 4)
                made[cell_of(y, 11, 3), cell_of(x, 11, 3), k] += math.hypot(u, v)
        made /= made.sum(-1, keepdims=True)
        assert_allclose(found, made.ravel(), atol=1e-5)


def test_hoof_by_hand():
    flow = np.zeros((1, 4, 4, 3), np.float32)
    flow[0, 0, 0, :2] = 3, 0  # right: bin 0
    flow[0, 0, 1, :2] = 0, 1  # down: bin 1 of 4
    found = features(HoofConfig(size=4, blocks=2, bins=4), apex_flow=flow)
    expected = np.zeros((4, 4))
    expected[0, :2] = 3 / 4, 1 / 4
    assert_allclose(found[0], expected.ravel(), atol=1e-6)


def test_what_is_mirrored_has_the_same_mirrored_hoof():
    flow = flows(1, 6)
    turned = flow * np.array([-1, 1, 1], np.float32)
    network = HoofConfig(size=6, blocks=1, bins=7, mirrored=True)
    one, two = (features(network, apex_flow=x) for x in (flow, turned))
    assert_allclose(one, two, atol=1e-6)


def test_bi_woof_is_that_of_a_plain_loop():
    network = BiWoofConfig(size=11, blocks=4, bins=8, normal=False)
    flow = flows(2, 11)
    for own, found in zip(flow, features(network, apex_flow=flow), strict=True):
        made, strain, pixels = (np.zeros((4, 4, k)) for k in (8, 1, 1))
        for y in range(11):
            for x in range(11):
                u, v, e = own[y, x]
                cell = cell_of(y, 11, 4), cell_of(x, 11, 4)
                made[(*cell, angle_bin(u, v, 8))] += math.hypot(u, v)
                strain[cell] += e
                pixels[cell] += 1
        assert_allclose(found, (made * strain / pixels).ravel(), rtol=1e-4, atol=1e-5)
        # As its authors' code: of length 1, and each block in parts of its sum.
        weighed = made / made.sum(-1, keepdims=True) * strain / pixels
        normal = dataclasses.replace(network, normal=True)
        (unit,) = features(normal, apex_flow=own[None])
        assert_allclose(unit, (weighed / np.linalg.norm(weighed)).ravel(), atol=1e-5)


@pytest.mark.parametrize("coordinates", ["polar", "cartesian"])
def test_mdmo_is_that_of_a_plain_loop(coordinates):
    old = {"regions": "nearest", "centred": False, "mean": "vector"}
    network = MdmoConfig(size=28, coordinates=coordinates, **old)
    flow = flows(2, 28)
    place = regions(TEMPLATE_68, 28)
    for own, found in zip(flow, features(network, apex_flow=flow), strict=True):
        mean = np.zeros((36, 2))
        for r in range(36):
            of_bin = {}
            for u, v, _ in own[place == r]:
                of_bin.setdefault(angle_bin(u, v, 8), []).append((u, v))
            if of_bin:
                most = max(sorted(of_bin), key=lambda k: len(of_bin[k]))
                mean[r] = np.mean(of_bin[most], 0)
        length = np.hypot(*mean.T)
        expected = mean.T / length.max()
        if coordinates == "polar":
            angle = np.arctan2(mean[:, 1], mean[:, 0])
            expected = [length / length.max(), angle]
        assert_allclose(found, np.concatenate(expected), atol=1e-5)


@pytest.mark.parametrize("lengths", [None, 0.8])
def test_mdmo_as_meb_has_it_is_that_of_a_plain_loop(lengths):
    flow = flows(2, 28)
    flow[0, ..., :2] = np.abs(flow[0, ..., :2]) * [-1, 0.2]  # around π
    found = features(MdmoConfig(size=28, lengths=lengths), apex_flow=flow)
    for own, one in zip(flow, found, strict=True):
        made = np.zeros((36, 2))
        for r, inside in enumerate(drawn(TEMPLATE_68, 28)):
            of_bin = {}
            for u, v, _ in own[inside]:
                # Bins of 45 degrees around the axes and their bisectors.
                k = round(math.degrees(math.atan2(v, u)) / 45) % 8
                of_bin.setdefault(k, []).append((u, v))
            most = max(sorted(of_bin), key=lambda k: len(of_bin[k]))
            angles = [
                math.degrees(math.atan2(v, u)) - 45 * most for u, v in of_bin[most]
            ]
            angle = 45 * most + np.mean([(a + 180) % 360 - 180 for a in angles])
            made[r] = np.mean([math.hypot(*x) for x in of_bin[most]]), angle
        weight = (1, 1) if lengths is None else (lengths, 1 - lengths)
        length = made[:, 0] / made[:, 0].max()
        angle = np.radians((made[:, 1] + 180) % 360 - 180)
        assert_allclose(one, [*length * weight[0], *angle * weight[1]], atol=1e-4)


def test_regions_are_drawn_between_points_and_do_not_meet():
    quads = corners(TEMPLATE_68)
    # The first one, by hand: the left brow's outer half, and 20 of 112 above it.
    outer, middle = TEMPLATE_68[17], TEMPLATE_68[19]
    lift = np.array([0, 20 / 112])
    assert_allclose(quads[0], [outer, outer - lift, middle - lift, middle])
    assert_allclose(quads[18:], quads[:18] * [-1, 1] + [1, 0], atol=1e-9)
    for size in (28, 64):
        found = drawn(TEMPLATE_68, size)
        assert found.any((1, 2)).all() and found.sum(0).max() == 1
        assert_array_equal(found[18:], found[:18, :, ::-1])
    square = np.array([[0.2, 0.2], [0.6, 0.2], [0.6, 0.5], [0.2, 0.5]])
    diagonals = [(q[2] - q[0], q[3] - q[1]) for q in (square, *quads)]
    areas = [abs(a[0] * b[1] - a[1] * b[0]) / 2 for a, b in diagonals]
    assert areas[0] == pytest.approx(0.12)
    assert_allclose(drawn(TEMPLATE_68, 224).mean((1, 2)), areas[1:], atol=1e-3)
    # Too small an image has one pixel of each.
    assert (drawn(TEMPLATE_68, 5).sum((1, 2)) >= 1).all()


def test_pixels_of_flow_are_stretched_one_by_one():
    flow = flows(3, 5)
    flow[1, ..., 2] = 4  # nothing varies
    found = features(FlowPixelsConfig(size=5), apex_flow=flow).reshape(3, 3, 5, 5)
    for own, clip in zip(found, flow, strict=True):
        for channel in range(3):
            x = clip[..., channel]
            room = x.max() - x.min()
            expected = (x - x.min()) / room if room else np.zeros((5, 5))
            assert_allclose(own[channel], expected, atol=1e-6)
    plain = features(FlowPixelsConfig(size=5, stretched=False), apex_flow=flow)
    assert_array_equal(plain, np.moveaxis(flow, -1, 1).reshape(3, -1))


def test_regions_are_36_and_lie_alike_on_both_sides():
    places = middles(TEMPLATE_68)
    assert places.shape == (COUNT, 2)
    assert_allclose(places[15:30], places[:15] * [-1, 1] + [1, 0], atol=1e-9)
    assert_allclose(places[30:, 0], 0.5)
    # A region for every middle, also of small images, and a mirror's is the mirror's.
    for size in (28, 64):
        found = regions(TEMPLATE_68, size)
        assert {*np.unique(found)} == {-1, *range(COUNT)}
        other = np.where(found < 0, -1, (found + 15) % 30)
        other = np.where(found >= 30, found, other)
        assert (found == other[:, ::-1]).mean() > 0.98  # ties aside
    moved = regions(TEMPLATE_68 * 0.5 + [0.25, 0.25], 64)
    assert (moved >= 0).sum() == pytest.approx((found >= 0).sum() / 4, rel=0.05)


def test_stretched_flow_has_its_median_for_zero():
    flow = flows(2, 8)
    stretched = np.clip(flow * 20 + 100, 0, 255).astype(np.uint8)
    network = HoofConfig(size=8, blocks=2, zero="median")
    middle = np.median(stretched[..., :2], (1, 2), keepdims=True)
    shifted = np.concatenate([stretched[..., :2] - middle, flow[..., 2:]], -1)
    found = features(network, apex_flow=stretched)
    plain = HoofConfig(size=8, blocks=2)
    assert_allclose(found, features(plain, apex_flow=shifted.astype("f4")), atol=1e-6)


def rgb(volume):
    return np.repeat(np.asarray(volume)[..., None], 3, -1)


def test_lbp_sip_is_that_of_a_plain_loop():
    clips = RNG.integers(0, 256, (2, 9, 9, 10), dtype=np.uint8)[..., :9]
    clips[1, :, 3:7] //= 64  # ties
    network = LbpSipConfig(frames=9, size=9, blocks=2, radii=(2, 1, 3))
    found = features(network, clip=rgb(clips))
    for clip, own in zip(clips.astype(int), found, strict=True):
        made = np.zeros((2, 2, 20))
        for t in range(3, 6):
            for y in range(1, 8):
                for x in range(2, 7):
                    here = clip[t, y, x]
                    frame = [clip[t, y, x + 2], clip[t, y - 1, x]]
                    frame += [clip[t, y, x - 2], clip[t, y + 1, x]]
                    code = sum((p >= here) << i for i, p in enumerate(frame))
                    time = (clip[t - 3, y, x] >= here) + 2 * (clip[t + 3, y, x] >= here)
                    cell = cell_of(y - 1, 7, 2), cell_of(x - 2, 5, 2)
                    made[(*cell, code)] += 1
                    made[(*cell, 16 + time)] += 1
        made *= 2 / made.sum(-1, keepdims=True)
        assert_allclose(own, made.ravel(), atol=1e-6)


def test_3d_hog_of_a_still_is_the_hog_of_scikit_image():
    frame = RNG.integers(0, 256, (16, 16), dtype=np.uint8)
    clip = np.broadcast_to(frame, (1, 4, 16, 16))
    network = Hog3dConfig(frames=4, size=16, blocks=4, bins=(9, 5, 5), signed=False)
    found = features(network, clip=rgb(clip)).reshape(16, 19)
    theirs = hog(
        frame.astype(float),
        orientations=9,
        pixels_per_cell=(4, 4),
        cells_per_block=(1, 1),
        block_norm="L1",
    ).reshape(16, 9)
    assert_allclose(found[:, :9], theirs, atol=1e-4)
    # Nothing moves: all of the gradient lies along x, or y.
    assert_allclose(found[:, 9::5], 1, atol=1e-5)


def test_3d_hog_is_that_of_a_plain_loop():
    clips = RNG.integers(0, 256, (2, 5, 7, 7), dtype=np.uint8)
    network = Hog3dConfig(frames=5, size=7, blocks=2, bins=(4, 6, 3))
    found = features(network, clip=rgb(clips))
    for clip, own in zip(clips.astype(int), found, strict=True):
        planes = [np.zeros((2, 2, k)) for k in (4, 6, 3)]
        for t in range(1, 4):
            for y in range(7):
                for x in range(7):
                    dt = clip[t + 1, y, x] - clip[t - 1, y, x]
                    dy = clip[t, y + 1, x] - clip[t, y - 1, x] if 0 < y < 6 else 0
                    dx = clip[t, y, x + 1] - clip[t, y, x - 1] if 0 < x < 6 else 0
                    cell = cell_of(y, 7, 2), cell_of(x, 7, 2)
                    pairs = (dx, dy), (dx, dt), (dy, dt)
                    for made, (a, b) in zip(planes, pairs, strict=True):
                        k = angle_bin(a, b, made.shape[-1])
                        made[(*cell, k)] += math.hypot(a, b)
        shares = [made / made.sum(-1, keepdims=True) for made in planes]
        assert_allclose(own, np.concatenate(shares, -1).ravel(), atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        HoofConfig(size=9),
        BiWoofConfig(size=9),
        MdmoConfig(size=9),
        FlowPixelsConfig(size=9),
        LbpSipConfig(frames=9, size=9),
        Hog3dConfig(frames=9, size=9),
    ],
    ids=lambda network: network.name,
)
def test_a_clip_knows_nothing_of_the_others_and_stillness_is_finite(network):
    inputs = {}
    for name, shape in network.shapes.items():
        inputs[name] = RNG.integers(0, 256, (3, *shape)).astype(np.uint8)
        inputs[name][1] = 0
    made = features(network, **inputs)
    assert np.isfinite(made).all()
    other = {n: np.concatenate([255 - x[:2], x[2:]]) for n, x in inputs.items()}
    assert_array_equal(features(network, **other)[2], made[2])


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (HoofConfig, {"blocks": 29}, "model.blocks=29: flow of 28 pixels has at most"),
        (BiWoofConfig, {"bins": 0}, "model.bins=0 must be a whole number"),
        (MdmoConfig, {"bins": 1.5}, "model.bins=1.5 must be a whole number"),
        (MdmoConfig, {"lengths": 1.5}, "model.lengths=1.5 must be from 0 to 1"),
        (MdmoConfig, {"regions": "none"}, "model.regions=none must be one of"),
        (MdmoConfig, {"zero": "mean"}, "model.zero=mean must be one of"),
        (Hog3dConfig, {"bins": (0, 1, 1)}, "model.bins=.* must be at least 1 each"),
        (Hog3dConfig, {"frames": 2}, "model.frames=2: radius 1 in time needs 3"),
        (LbpSipConfig, {"radii": (1, 0, 4)}, "model.radii=.* must be at least 1 each"),
    ],
)
def test_what_cannot_be_is_refused(kind, fields, text):
    with pytest.raises(UsageError, match=text):
        kind(**fields)
