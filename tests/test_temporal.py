"""Temporal resampling against clips whose every pixel is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jmer.preprocess.temporal import (
    apex_window,
    linear,
    random_sorted,
    resample,
    tim,
    uniform,
)


def ramp(*values):
    """A clip of 2 x 3 x 3 whose frames are each of one value, plus the pixel's own."""
    own = np.arange(18).reshape(2, 3, 3)
    return (np.array(values)[:, None, None, None] + own).astype(np.uint8)


def noise(t, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (t, 5, 7, 3), np.uint8)


def test_linear_mixes_neighbours_in_proportion():
    # Positions 0, 0.75, 1.5, 2.25 and 3.
    made = linear(ramp(0, 100, 20, 60), 5)
    assert made.dtype == np.uint8
    assert_array_equal(made, ramp(0, 75, 60, 30, 60))


def test_linear_rounds_to_the_nearest():
    assert_array_equal(linear(ramp(0, 10), 4), ramp(0, 3, 7, 10))


@pytest.mark.parametrize("method", [linear, tim])
def test_as_many_frames_as_there_are_stay_as_they_are(method):
    frames = noise(6)
    assert_array_equal(method(frames, 6), frames)
    assert_array_equal(method(frames, 11)[::2], frames)
    assert_array_equal(method(frames[:1], 4), np.repeat(frames[:1], 4, axis=0))


def test_uniform_takes_the_centres_of_equal_segments():
    assert uniform(10, 21, 4).tolist() == [11, 14, 17, 20]
    assert uniform(10, 14, 5).tolist() == [10, 11, 12, 13, 14]
    assert uniform(0, 7, 3).tolist() == [1, 4, 6]


def test_uniform_repeats_the_ends_around_too_few_frames():
    assert uniform(4, 6, 7).tolist() == [4, 4, 4, 5, 6, 6, 6]
    assert uniform(4, 6, 6).tolist() == [4, 4, 5, 6, 6, 6]
    assert uniform(9, 9, 3).tolist() == [9, 9, 9]


def test_random_sorted_draws_frames_in_order_by_the_name_of_the_clip():
    found = {name: random_sorted(5, 24, 6, name).tolist() for name in "abcdefgh"}
    assert found == {name: random_sorted(5, 24, 6, name).tolist() for name in found}
    assert len({tuple(frames) for frames in found.values()}) == 8
    for frames in found.values():
        assert frames == sorted(set(frames)) and frames[0] >= 5 and frames[-1] <= 24
    assert random_sorted(4, 6, 7, "a").tolist() == [4, 4, 4, 5, 6, 6, 6]


@pytest.mark.parametrize(
    ("method", "n", "black"),
    [
        ("uniform", 13, [0, 1, 11, 12]),
        ("random-sorted", 13, [0, 1, 11, 12]),
        ("apex-window", 15, [0, 1, 14]),
        ("uniform", 4, []),
    ],
)
def test_zeros_stand_where_a_clip_has_too_few_frames(method, n, black):
    frames = np.arange(1, 13, dtype=np.uint8).reshape(12, 1, 1, 1)
    interval = (2, 5, 10)
    repeated, stored = resample(frames, interval, n, method, name="x")
    padded, same = resample(frames, interval, n, method, name="x", padding="zeros")
    assert stored == same
    assert np.flatnonzero(padded.ravel() == 0).tolist() == black
    shown = padded.ravel() > 0
    np.testing.assert_array_equal(padded[shown], repeated[shown])
    assert (frames > 0).all()


def test_apex_window_repeats_edge_frames():
    assert apex_window(9, 6, 20).tolist() == [6, 7, 8, 9, 10, 11]
    assert apex_window(9, 5, 20).tolist() == [7, 8, 9, 10, 11]
    assert apex_window(1, 6, 20).tolist() == [0, 0, 0, 1, 2, 3]
    assert apex_window(5, 6, 7).tolist() == [2, 3, 4, 5, 6, 6]


# MERANet, section 4.2: frames are repeated only in a clip of fewer than the window.
INSIDE = [
    # the apex, the length of the clip, the first frame, the last
    (2, 20, 0, 15),
    (10, 20, 2, 17),  # room on both sides: as centred
    (12, 20, 4, 19),
    (13, 20, 4, 19),
    (19, 20, 4, 19),
    (0, 16, 0, 15),
    (15, 16, 0, 15),
]


@pytest.mark.parametrize(("apex", "t", "first", "last"), INSIDE)
def test_a_window_inside_repeats_no_frame_of_a_clip_that_has_enough(
    apex, t, first, last
):
    found = apex_window(apex, 16, t, "inside")
    assert found.tolist() == list(range(first, last + 1))


@pytest.mark.parametrize("apex", [0, 4, 8])
def test_a_window_inside_has_every_frame_of_a_clip_that_has_too_few(apex):
    """9 frames, as the shortest of CAS(ME)²: 7 are missing. The edges are repeated to
    where the apex comes nearest to the middle."""
    found = apex_window(apex, 16, 9, "inside").tolist()
    before = min(max(8 - apex, 0), 7)
    assert found == [0] * before + list(range(9)) + [8] * (7 - before)


def test_a_window_is_moved_with_onset_apex_and_offset():
    frames = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    made, stored = resample(frames, (0, 2, 19), 16, "apex-window", window="inside")
    assert made.ravel().tolist() == list(range(16)) and stored == (0, 2, 15)
    made, stored = resample(frames, (0, 2, 19), 16, "apex-window")
    assert made.ravel().tolist() == [0] * 6 + list(range(10)) and stored == (6, 8, 15)


def tim_by_its_definition(frames, n):
    """Zhou et al. 2011: singular vectors of the frames, mapped to the curve."""
    t = len(frames)
    x = frames.reshape(t, -1).T.astype(np.float64)
    mean = x.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    u, q = u[:, : t - 1], s[: t - 1, None] * vt[: t - 1]
    k = np.arange(1, t)

    def curve(time):
        return np.sin(np.pi * k * time + np.pi * (t - k) / (2 * t))

    y = np.stack([curve(i / t) for i in range(1, t + 1)])
    w = np.linalg.inv(q @ q.T) @ q @ y
    steps = [u @ np.linalg.inv(w.T) @ curve(i) for i in np.linspace(1 / t, 1, n)]
    made = (mean + np.stack(steps, axis=1)).T
    return made.reshape(n, *frames.shape[1:])


@pytest.mark.parametrize(("t", "n"), [(2, 5), (7, 20), (23, 20), (30, 11)])
def test_tim_is_the_model_of_its_paper(t, n):
    frames = noise(t, seed=t)
    expected = tim_by_its_definition(frames, n)
    made = tim(frames, n)
    assert made.dtype == np.uint8
    # Half a grey level is the rounding.
    assert_allclose(made, expected.clip(0, 255), atol=0.5 + 1e-6)


def test_tim_needs_no_matrix_that_repeated_frames_make_singular():
    frames = ramp(40, 40, 40, 90, 90)
    made = tim(frames, 9)
    assert_array_equal(made[::2], frames)
    assert_array_equal(tim(ramp(70, 70, 70), 5), ramp(70, 70, 70, 70, 70))


@pytest.mark.parametrize(
    ("method", "n", "source", "stored"),
    [
        ("none", 99, range(12), (2, 5, 10)),
        ("uniform", 3, [3, 6, 9], (0, 1, 2)),
        ("uniform", 9, range(2, 11), (0, 3, 8)),
        ("uniform", 13, [2, 2, *range(2, 11), 10, 10], (2, 5, 10)),
        ("apex-window", 4, [3, 4, 5, 6], (0, 2, 3)),
        ("apex-window", 14, [0, 0, *range(12)], (4, 7, 12)),
        ("linear", 9, range(2, 11), (0, 3, 8)),
        ("linear", 5, range(2, 11, 2), (0, 1, 4)),
        ("tim", 9, range(2, 11), (0, 3, 8)),
    ],
)
def test_the_moments_follow_their_frames(method, n, source, stored):
    frames = ramp(*(10 * i for i in range(12)))
    made, moments = resample(frames, (2, 5, 10), n, method)
    assert_array_equal(made, frames[list(source)])
    assert moments == stored


@pytest.mark.parametrize(
    ("context", "n", "source", "stored"),
    [
        (0, 9, range(2, 11), (0, 3, 8)),
        (1, 11, range(1, 12), (1, 4, 9)),
        (2, 12, range(12), (2, 5, 10)),
        (99, 12, range(12), (2, 5, 10)),
        (1, 6, range(1, 12, 2), (0, 2, 4)),
    ],
)
def test_whole_clips_have_their_context(context, n, source, stored):
    """Onset 2 lies between the stored frames 1 and 3: the first of them has it."""
    frames = ramp(*(10 * i for i in range(12)))
    made, moments = resample(frames, (2, 5, 10), n, "whole", context=context)
    assert_array_equal(made, frames[list(source)])
    assert moments == stored


def test_whole_clips_are_mixed_in_proportion():
    frames = noise(11)
    made, _ = resample(frames, (4, 5, 6), 4, "whole", context=2)
    assert_array_equal(made, linear(frames[2:9], 4))
    assert_array_equal(made[1], frames[4])


@pytest.mark.parametrize("method", ["linear", "tim", "uniform", "apex-window"])
@pytest.mark.parametrize("interval", [(0, 0, 0), (3, 3, 3), (0, 4, 4), (2, 2, 3)])
def test_short_clips_keep_the_order_of_their_moments(method, interval):
    frames = noise(5)
    made, (onset, apex, offset) = resample(frames, interval, 6, method)
    assert made.shape == (6, 5, 7, 3)
    assert 0 <= onset <= apex <= offset < 6
    if method in ("uniform", "apex-window"):
        assert_array_equal(made[apex], frames[interval[1]])


@pytest.mark.parametrize("interval", [(-1, 2, 3), (2, 1, 3), (1, 3, 2), (1, 2, 5)])
def test_moments_out_of_order_are_refused(interval):
    with pytest.raises(ValueError, match=r"must rise within 0\.\.4"):
        resample(noise(5), interval, 3, "linear")
