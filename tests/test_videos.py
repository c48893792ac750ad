"""Long videos: what is generated, and what is stored of videos for spotting."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from data_builders.casme2 import Casme2
from data_builders.synthetic import Synthetic
from jmer.data import load
from jmer.errors import UsageError
from jmer.preprocess.clip_recipe import ClipRecipe
from jmer.preprocess.tensors import features, neighbour_flow
from jmer.scores.intervals import intervals, linear_intensity
from jmer.synthetic.rendering import generate, render_clip
from jmer.synthetic.spec import SyntheticSpec
from jmer.synthetic.timeline import draw_timeline, draw_video, head_moves

USUAL = SyntheticSpec(subjects=3, clips=7, length=9, size=32, noise=1.0)
LONG = SyntheticSpec(
    *(2, 3, 6, 41, 32),
    difficulty=0.0,
    noise=0.0,
    expressions=3,
    blinks=0,
    head_moves=0,
)


def drawn(spec, seed=0):
    usual = draw_timeline(spec, np.random.default_rng(seed))
    return draw_video(spec, usual, np.random.default_rng(seed + 1000))


def test_the_sets_there_were_are_the_same_still():
    """Moments, brightness and motion as they were before videos could be long."""
    clips = list(generate(USUAL))
    moments = [(c.onset, c.apex, c.offset) for c in clips]
    assert moments == [
        *((1, 4, 7), (1, 4, 8), (1, 4, 7), (1, 4, 7), (1, 4, 7), (0, 3, 8), (1, 4, 7))
    ]
    light = [123.557, 122.976, 108.668, 108.181, 110.212, 113.366, 113.075]
    np.testing.assert_allclose([c.frames.mean() for c in clips], light, atol=0.05)
    speed = [0.182, 0.14879, 0.16079, 0.22528, 0.12227, 0.1268, 0.1193]
    found = [np.abs(c.flow).mean() for c in clips]
    np.testing.assert_allclose(found, speed, rtol=1e-3)


@pytest.mark.parametrize(
    ("expressions", "length"), [(1, 12), (1, 50), (3, 36), (2, 64)]
)
def test_expressions_lie_apart_with_rest_around(expressions, length):
    spec = replace(LONG, expressions=expressions, length=length)
    shares = []
    for seed in range(40):
        line = drawn(spec, seed)
        assert line.intensity.dtype == np.float32
        moving = line.intensity > 0
        assert not moving[0] and not moving[-1]
        found = intervals(moving, threshold=0.5)
        assert len(found) == expressions
        # One in each equal part of the clip.
        parts = (found * expressions) // length
        assert_array_equal(parts, np.arange(expressions)[:, None].repeat(2, 1))
        peaks = [line.intensity[a : b + 1] for a, b in found]
        assert all(peak.max() == 1 for peak in peaks)
        for peak in peaks:  # up, then down
            slope = np.sign(np.diff(peak))
            assert_array_equal(slope, -np.sort(-slope))
        first = (line.onset + 1, line.offset - 1)
        assert first == tuple(found[0])
        assert line.intensity[line.apex] == 1
        shares.append(moving.mean())
    assert 0.25 < np.mean(shares) < 0.6


def test_a_video_moves_where_it_says():
    clip = render_clip(LONG, 1)
    still = (clip.intensity[:-1] == 0) & (clip.intensity[1:] == 0)
    assert still.sum() >= 8
    np.testing.assert_allclose(clip.flow[still], 0, atol=1e-5)
    assert np.abs(clip.flow[~still]).max((1, 2, 3)).min() > 1e-3
    # The same expression each time: at every apex the face looks alike.
    peaks = np.flatnonzero(clip.intensity == 1)
    assert len(peaks) >= 3
    for peak in peaks[1:]:
        assert_array_equal(clip.frames[peak], clip.frames[peaks[0]])


def test_distractors_are_no_expression():
    """Blinks and moves of the head leave all that is true of the expressions."""
    calm = render_clip(LONG, 2)
    busy = render_clip(replace(LONG, blinks=2, head_moves=2), 2)
    assert_array_equal(calm.intensity, busy.intensity)
    assert_array_equal(calm.apex_flow.shape, busy.apex_flow.shape)
    assert (calm.onset, calm.apex) == (busy.onset, busy.apex)
    rest = (calm.intensity[:-1] == 0) & (calm.intensity[1:] == 0)
    assert np.abs(busy.flow[rest]).max() > 0.1


def test_blinks_close_the_eyes_as_often_as_asked():
    for seed in range(20):
        line = drawn(replace(LONG, length=400, expressions=1, blinks=3), seed)
        shut = intervals(line.closure, threshold=0.6)
        assert 1 <= len(shut) <= 3
        assert 0.9 < line.closure.max() <= 1
    assert not drawn(LONG).closure.any()


def test_the_head_moves_quickly_and_stays_near():
    spec = replace(LONG, length=300, size=64, head_moves=6)
    for seed in range(10):
        path = head_moves(spec, np.random.default_rng(seed))
        assert path.shape == (2, 300)
        assert np.linalg.norm(path, axis=0).max() < 3.5
        speed = np.linalg.norm(np.diff(path), axis=0)
        assert 0.1 < speed.max() < 2.5
        # It rests most of the time: 6 moves take no more than 8 frames each.
        assert (speed > 1e-6).sum() <= 6 * 9
    assert not head_moves(LONG, np.random.default_rng(0)).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expressions": 4}, "expressions=4: need length=12 each, 48 in all, but"),
        ({"expressions": -1}, "expressions=-1: must be a whole number from 0"),
        ({"blinks": 1.5}, "blinks=1.5: must be a whole number from 0"),
        ({"head_moves": 101}, "head_moves=101: must be a whole number from 0 to 100"),
    ],
)
def test_impossible_videos_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        replace(LONG, **options)


def test_a_stored_video_keeps_its_rest(tmp_path):
    fields = {"modality": "clip", "length": 24, "expressions": 2, "blinks": 1}
    config = Synthetic(subjects=2, clips=6, size=32, data_dir=tmp_path, **fields)
    clips = load(config)
    truth = {clip.clip_id: clip for clip in generate(config.spec)}
    for i, name in enumerate(clips.clip_id):
        assert_array_equal(clips.inputs["intensity"][i], truth[name].intensity)
        assert_array_equal(clips.inputs["clip"][i], truth[name].frames)
        assert len(intervals(clips.inputs["intensity"][i])) == 2


def test_a_recipe_of_videos_is_clip_flow_and_intensity():
    recipe = ClipRecipe(
        modality="video", frames=7, size=16, resample="whole", context=4
    )
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (23, 20, 18, 3), np.uint8)
    made, interval = features(recipe, frames, (6, 9, 14), "x")
    alone, same = features(replace(recipe, modality="clip"), frames, (6, 9, 14), "x")
    assert interval == same
    assert {n: (v.shape, v.dtype.type) for n, v in made.items()} == recipe.shapes
    assert_array_equal(made["clip"], alone["clip"])
    assert_array_equal(made["flow"], neighbour_flow(alone["clip"], "farneback"))
    assert_array_equal(made["intensity"], linear_intensity(*interval, 7))
    assert made["intensity"][0] == made["intensity"][-1] == 0
    assert made["intensity"].max() == 1
    with pytest.raises(UsageError, match="size=9: flow=dis needs at least 12"):
        replace(recipe, size=9, flow="dis")
    shapes = Casme2(modality="video", frames=9, size=32).shapes
    assert shapes["intensity"] == ((9,), np.float32)
