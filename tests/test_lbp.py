"""Patterns of volumes against hand calculations, plain loops and scikit-image."""

import math

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage.feature import local_binary_pattern

from jmer.baselines.bit_planes import bit_planes, pattern_counts
from jmer.baselines.grey import cells, grey, in_cells
from jmer.baselines.lbp import codes, histograms, plane_ways, uniform_bins
from jmer.baselines.lbp_top import LbpTopConfig
from jmer.bench import lbp_top as plain
from jmer.errors import UsageError

RNG = np.random.default_rng(3)


def volumes(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def jitted(network):
    return jax.jit(network.features)


def rgb(volume):
    return np.repeat(np.asarray(volume)[..., None], 3, -1)


def test_grey_is_rounded_as_on_paper():
    clip = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [10, 20, 30]], np.uint8)
    found = grey(clip.reshape(1, 1, 1, 4, 3))
    # 76.245, and 2.99 + 11.74 + 3.42 = 18.15.
    assert_array_equal(np.ravel(found), [0, 255, 76, 18])
    assert_array_equal(grey(clip.reshape(1, 1, 1, 4, 3).astype(np.float32)), found)


@pytest.mark.parametrize(("size", "count"), [(7, 3), (5, 5), (13, 4), (2, 1)])
def test_cells_are_the_parts_that_numpy_splits_into(size, count):
    edges = [i * size // count for i in range(count + 1)]
    for i in range(count):
        assert_array_equal(
            np.flatnonzero(cells(size, count)[:, i]), range(edges[i], edges[i + 1])
        )
    counts = RNG.random((2, size, 6)).astype(np.float32)
    found = in_cells(jnp.asarray(counts), count, 2)
    expected = np.add.reduceat(np.add.reduceat(counts, edges[:-1], 1), [0, 3], 2)
    assert_allclose(found, expected, rtol=1e-6)


def test_a_volume_made_by_hand():
    # 3x3x3, dark but for what is named; the only voxel with a pattern is the middle,
    # 5. Right (9) and above (5, as light) in XY: bits 0 and 1. In XT right, and the
    # next frame (7): bits 0 and 1. In YT the next frame and above: bits 0 and 1; the
    # frame before (6): bit 2 of YT, bit 3 of XT.
    volume = np.zeros((1, 3, 3, 3), np.uint8)
    volume[0, 1, 1, 1] = 5
    volume[0, 1, 1, 2] = 9
    volume[0, 1, 0, 1] = 5
    volume[0, 2, 1, 1] = 7
    volume[0, 0, 1, 1] = 6
    network = LbpTopConfig(frames=3, size=3, blocks=1, radii=(1, 1, 1))
    found = np.asarray(jitted(network)({"clip": rgb(volume)})).reshape(3, 16)
    expected = np.zeros((3, 16))
    expected[0, 0b0011] = expected[1, 0b1011] = expected[2, 0b0111] = 1
    assert_array_equal(found, expected)


def loop(volume, blocks, points, radii):
    """The same, voxel by voxel."""
    rx, ry, rt = radii
    t, h, w = volume.shape
    inner = h - 2 * ry, w - 2 * rx
    made = np.zeros((blocks, blocks, 3, 2**points))
    for f in range(rt, t - rt):
        for y in range(ry, h - ry):
            for x in range(rx, w - rx):
                row, column = (
                    max(i for i in range(blocks) if place >= i * size // blocks)
                    for place, size in zip((y - ry, x - rx), inner, strict=True)
                )
                for plane in range(3):
                    code = 0
                    for p in range(points):
                        a, b = (
                            fn(2 * math.pi * p / points) for fn in (math.cos, math.sin)
                        )
                        place = [
                            (f, y - ry * b, x + rx * a),
                            (f + rt * b, y, x + rx * a),
                            (f + rt * a, y - ry * b, x),
                        ][plane]
                        light = between(volume, [round(q, 9) for q in place])
                        code += (light >= volume[f, y, x] - 1e-3) << p
                    made[row, column, plane, code] += 1
    return (made / made.sum(-1, keepdims=True)).ravel()


def between(volume, place):
    low = [math.floor(q) for q in place]
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        share = 1.0
        for q, a, up in zip(place, low, corner, strict=True):
            share *= (q - a) if up else 1 - (q - a)
        if share:
            total += share * volume[tuple(np.add(low, corner))]
    return total


@pytest.mark.parametrize(
    ("points", "radii"), [(4, (1, 1, 4)), (4, (2, 1, 3)), (8, (1, 2, 3))]
)
def test_lbp_top_is_that_of_a_plain_loop(points, radii):
    clips = volumes(2, 9, 11, 11)
    clips[1, 3:7, 4:9] = 90  # ties
    network = LbpTopConfig(frames=9, size=11, blocks=3, points=points, radii=radii)
    found = jitted(network)({"clip": rgb(clips)})
    for own, clip in zip(np.asarray(found), clips, strict=True):
        assert_allclose(own, loop(clip, 3, points, radii), atol=1e-6)
    assert found.shape[1] == network.width == 3 * 3 * 3 * 2**points


@pytest.mark.parametrize("points", [4, 8])
def test_patterns_of_a_frame_are_those_of_scikit_image(points):
    frames = volumes(1, 3, 9, 11)
    ways = plane_ways("XY", points, (1, 1, 1))
    found = np.asarray(codes(jnp.asarray(frames), ways, (1, 1, 1)))[0, 0]
    expected = local_binary_pattern(frames[0, 1], points, 1, "default")
    assert_array_equal(found, expected[1:-1, 1:-1])


@pytest.mark.parametrize("points", [4, 8])
def test_uniform_patterns_are_those_of_scikit_image(points):
    bins = uniform_bins(points)
    assert max(bins) + 1 == points * (points - 1) + 3
    frames = volumes(1, 3, 40, 40)
    ways = plane_ways("XY", points, (1, 1, 1))
    found = np.asarray(codes(jnp.asarray(frames), ways, (1, 1, 1)))[0, 0]
    theirs = local_binary_pattern(frames[0, 1], points, 1, "nri_uniform")[1:-1, 1:-1]
    # The same patterns share a bin, whatever it is called.
    assert len(
        {*zip(np.array(bins)[found].ravel(), theirs.ravel(), strict=True)}
    ) == len(np.unique(theirs))


def test_more_frames_than_a_byte_counts():
    patterns = np.full((1, 600, 2, 2), 3, np.uint8)
    patterns[0, :300, 0, 0] = 1
    found = np.asarray(histograms(jnp.asarray(patterns), range(4), 1, 1))
    assert_allclose(found[0, 0, 0], [0, 1 / 8, 0, 7 / 8])


def test_bits_are_comparisons_and_counts_those_of_patterns():
    clips, margin = volumes(2, 19, 6, 7), (1, 1, 1)
    ways = [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0)]
    planes = np.asarray(jax.jit(lambda v: bit_planes(v, ways, margin))(clips))
    assert planes.shape == (3, 2, 3, 4, 5)  # 17 frames: two bytes, and a bit
    here = clips[:, 1:-1, 1:-1, 1:-1]
    lighter = np.stack(
        [
            clips[:, 1:-1, 1:-1, 2:] >= here,
            clips[:, 2:, 1:-1, 1:-1] >= here,
            clips[:, 1:-1, :-2, 1:-1] >= here,
        ]
    )
    bits = np.unpackbits(planes, axis=2, bitorder="little")
    assert_array_equal(bits[:, :, :17], lighter)
    assert not bits[:, :, 17:].any()
    counted = jax.jit(lambda p: pattern_counts([p, p[1:]], 17, 2, 1))(planes)
    for found, known in zip(counted, (lighter, lighter[1:]), strict=True):
        codes_ = sum(bit.astype(int) << i for i, bit in enumerate(known))
        for b, row in np.ndindex(2, 2):
            block = codes_[b, :, 2 * row : 2 * row + 2]
            counts = np.bincount(block.ravel(), minlength=len(found))
            assert_array_equal(found[:, b, row, 0], counts)


@pytest.mark.parametrize(("frames", "radii"), [(10, (1, 1, 4)), (300, (2, 1, 3))])
def test_lbp_top_is_that_of_plain_numpy(frames, radii):
    clips = rgb(volumes(2, frames, 12, 12))
    network = LbpTopConfig(frames=frames, size=12, blocks=3, radii=radii)
    found = jitted(network)({"clip": clips})
    for own, clip in zip(found, clips, strict=True):
        expected = plain.by_numpy(plain.grey(clip), network)
        assert_allclose(own, expected, rtol=1e-6)


def test_its_program_is_one_for_all_devices():
    network = LbpTopConfig(frames=10, size=8, blocks=2)
    clips = jax.ShapeDtypeStruct((2, *network.input_shapes[0]), jnp.uint8)
    devices = ("cpu", "cuda", "tpu")
    made = jax.export.export(jitted(network), platforms=devices)({"clip": clips})
    assert made.platforms == devices


def test_a_clip_knows_nothing_of_the_others():
    clips = rgb(volumes(3, 10, 8, 8))
    network = LbpTopConfig(frames=10, size=8, blocks=2)
    together = np.asarray(jitted(network)({"clip": clips}))
    other = np.concatenate([255 - clips[:2], clips[2:]])
    assert_array_equal(jitted(network)({"clip": other})[2], together[2])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"frames": 8}, "model.frames=8: radius 4 in time needs 9 frames or more"),
        ({"size": 6}, "model.size=6: 5 blocks a side, and margins of 1, need 7"),
        ({"radii": (0, 1, 1)}, "model.radii"),
        ({"points": 5}, "model.points=5 must be one of"),
        ({"kernel": "poly"}, "model.kernel=poly must be one of"),
        ({"vectors": 0}, "model.vectors=0 must be a whole number"),
    ],
)
def test_what_cannot_be_is_refused(fields, text):
    with pytest.raises(UsageError, match=text):
        LbpTopConfig(**fields)
