"""The synthetic set: reproducible, well formed, and true to what it claims."""

from collections import defaultdict
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmer.errors import UsageError
from jmer.synthetic.face import Face, draw_face, face_texture
from jmer.synthetic.muscles import (
    ACTION_UNITS,
    CLASS_EMOTIONS,
    EMOTIONS,
    blink_field,
    expression_field,
    pixel_grid,
)
from jmer.synthetic.rendering import Warp, generate, render_clip, true_flow
from jmer.synthetic.spec import SyntheticSpec, plan_clips
from jmer.synthetic.timeline import smooth_paths

TINY = SyntheticSpec(subjects=3, clips=7, length=9, size=32, noise=1.0)
CLEAN = replace(TINY, noise=0.0, difficulty=0.0)


def assert_same_clip(first, second):
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert np.array_equal(one, other), field.name


def test_the_seed_decides_everything():
    clips, again = list(generate(TINY)), list(generate(TINY))
    for first, second in zip(clips, again, strict=True):
        assert_same_clip(first, second)
    other = list(generate(replace(TINY, seed=1)))
    for first, second in zip(clips, other, strict=True):
        assert (first.frames != second.frames).any()
        assert (first.flow != second.flow).any()


def test_a_clip_does_not_depend_on_the_ones_before():
    clips = list(generate(TINY))
    for index in (6, 2):
        assert_same_clip(render_clip(TINY, index), clips[index])
    with pytest.raises(IndexError, match="index=7"):
        render_clip(TINY, 7)


def test_clips_are_well_formed():
    clips = list(generate(TINY))
    assert len({clip.clip_id for clip in clips}) == len(clips) == 7
    for clip in clips:
        assert clip.frames.shape == (9, 32, 32, 3)
        assert clip.frames.dtype == np.uint8
        assert 30 < clip.frames.mean() < 225
        assert clip.flow.shape == (8, 32, 32, 2)
        assert clip.apex_flow.shape == (32, 32, 2)
        assert clip.flow.dtype == clip.apex_flow.dtype == np.float32
        assert np.isfinite(clip.flow).all()
        assert clip.clip_id.startswith(
            f"{clip.subject}_{TINY.class_names[clip.label]}_"
        )
        assert all(u.lstrip("LR") in ACTION_UNITS for u in clip.action_units.split("+"))


@pytest.mark.parametrize("frames", [4, 5, 24])
def test_intensity_rises_from_onset_to_apex_and_falls_to_offset(frames):
    for clip in generate(replace(CLEAN, length=frames)):
        onset, apex, offset = clip.onset, clip.apex, clip.offset
        assert 0 <= onset < apex <= offset < frames
        curve = clip.intensity
        assert curve.shape == (frames,)
        assert curve.dtype == np.float32
        assert curve[apex] == curve.max() == 1
        assert not curve[: onset + 1].any()
        assert not curve[offset + 1 :].any()
        assert (np.diff(curve[onset : apex + 1]) > 0).all()
        assert (np.diff(curve[apex : offset + 1]) < 0).all()


def test_nothing_moves_outside_the_expression_without_noise():
    for clip in generate(replace(CLEAN, length=24)):
        still = (clip.intensity[:-1] == 0) & (clip.intensity[1:] == 0)
        np.testing.assert_allclose(clip.flow[still], 0, atol=1e-5)
        assert np.abs(clip.flow[~still]).max(axis=(1, 2, 3)).min() > 1e-3
        assert (clip.frames[: clip.onset] == clip.frames[clip.onset]).all()


def test_amplitude_is_that_of_micro_expressions():
    spec = SyntheticSpec(subjects=4, clips=40, length=4, size=64, noise=0.0)
    peaks = [np.linalg.norm(c.apex_flow, axis=-1).max() for c in generate(spec)]
    assert min(peaks) > 0.15
    assert max(peaks) <= 3.001
    assert 0.7 < np.mean(peaks) < 1.4
    larger = replace(spec, size=96)
    grown = np.linalg.norm(render_clip(larger, 3).apex_flow, axis=-1).max()
    assert grown == pytest.approx(1.5 * peaks[3], rel=0.02)


def sample(image, points):
    """Bicubic samples of an image at points [h, w, 2], by a 16-fold enlargement."""
    height, width = image.shape[:2]
    big = cv2.resize(
        image.astype(np.float32),
        (16 * width, 16 * height),
        interpolation=cv2.INTER_CUBIC,
    )
    at = (16 * (points + 0.5) - 0.5).astype(np.float32)
    return cv2.remap(big, at[..., 0], at[..., 1], cv2.INTER_LINEAR)


def test_true_flow_explains_the_frames():
    spec = SyntheticSpec(subjects=2, clips=6, length=6, noise=0.0, difficulty=0.2)
    grid = pixel_grid(64).T.reshape(64, 64, 2)
    for clip in generate(spec):
        first, second = clip.frames[clip.onset], clip.frames[clip.apex]
        moved = np.linalg.norm(clip.apex_flow, axis=-1) > 0.3
        brought = sample(second, grid + clip.apex_flow)
        before = np.abs(second.astype(np.float32) - first)[moved].mean()
        after = np.abs(brought - first)[moved].mean()
        # And the opposite motion makes it worse: the sign is right.
        opposite = np.abs(sample(second, grid - clip.apex_flow) - first)[moved].mean()
        assert after < 0.5 * before < 0.5 * opposite


def test_true_flow_solves_its_equation_with_drift_and_blink():
    face, size = Face(), 48
    field = expression_field(face, "6+12", size, peak=2.0)
    blink = blink_field(face, size, field)
    turns = [np.float32([[c, -s], [s, c]]) for c, s in ((1.01, 0.02), (0.99, -0.01))]
    shifts = [np.float32([[0.7], [-0.4]]), np.float32([[-0.3], [0.9]])]
    first = Warp(field, turns[0], shifts[0], 23.5)
    second = Warp(blink, turns[1], shifts[1], 23.5)
    flow = true_flow(first, second, size).reshape(-1, 2).T
    points = pixel_grid(size)
    np.testing.assert_allclose(
        second.to_texture(points + flow), first.to_texture(points), atol=1e-3
    )
    texture = points[:, ::7]
    np.testing.assert_allclose(
        first.to_texture(first.from_texture(texture)), texture, atol=1e-3
    )


def halves(face, units, size=64):
    """Motion on the image's left and right half, mirrored to the left."""
    field = expression_field(face, units, size, peak=1.0)
    flow = field(pixel_grid(size)).T.reshape(size, size, 2)
    return flow[:, : size // 2], flow[:, size // 2 :][:, ::-1] * (-1, 1)


def centre_of_motion(half):
    strength = np.linalg.norm(half, axis=-1)
    y, x = np.mgrid[: half.shape[0], : half.shape[1]] + 0.5
    return (strength * x).sum() / strength.sum(), (strength * y).sum() / strength.sum()


@pytest.mark.parametrize("units", ["1+2", "6+12", "4+7+24", "26"])
def test_faces_move_alike_on_both_sides(units):
    left, right = halves(Face(), units)
    np.testing.assert_allclose(left, right, atol=1e-5)
    assert np.linalg.norm(left, axis=-1).max() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("unit", "x", "y", "u", "v"),
    [  # where on the image's left half (in image sides), and which way (signs)
        ("12", 0.345, 0.765, -1, -1),
        ("15", 0.345, 0.78, -1, 1),
        ("20", 0.345, 0.775, -1, 1),
        ("2", 0.246, 0.265, -1, -1),
        ("4", 0.395, 0.275, 1, 1),
        ("1", 0.395, 0.265, 0, -1),
        ("5", 0.315, 0.35, 0, -1),
        ("9", 0.445, 0.55, 0, -1),
        ("26", 0.45, 0.93, 0, 1),
        ("17", 0.46, 0.92, 0, -1),
    ],
)
def test_action_units_move_their_own_part_of_the_face(unit, x, y, u, v):
    left, _ = halves(Face(), unit)
    at = left[round(y * 64 - 0.5), round(x * 64 - 0.5)]
    assert np.linalg.norm(at) > 0.5
    if u:
        assert np.sign(at[0]) == u
    else:
        assert abs(at[0]) < 0.2
    assert np.sign(at[1]) == v


def test_one_sided_units_move_one_side():
    left, right = halves(Face(), "R12")  # the person's right: left in the image
    assert np.linalg.norm(left, axis=-1).max() > 0.95
    assert np.linalg.norm(right, axis=-1).max() < 0.1
    left, right = halves(Face(), "L12")
    assert np.linalg.norm(left, axis=-1).max() < 0.1


def test_motion_follows_the_landmarks_of_the_face():
    high, low = Face(mouth_y=0.72), Face(mouth_y=0.80)
    for face in (high, low):
        _, y = centre_of_motion(halves(face, "14")[0])
        assert y / 64 == pytest.approx(face.mouth_y, abs=0.02)


def test_every_emotion_is_made_of_known_action_units():
    for emotion in EMOTIONS.values():
        for units in (*emotion.typical, *emotion.confusable):
            field = expression_field(Face(), units, 32, peak=3.0)
            assert field.stretch(pixel_grid(32)).max() < 0.56
    named = {name for count in (3, 4, 5) for name in class_names(count)}
    assert all(e in EMOTIONS for n in named for e in CLASS_EMOTIONS.get(n, (n,)))


def class_names(count):
    return SyntheticSpec(classes=count).class_names


def test_blinks_close_the_eyes_and_cannot_fold_the_skin():
    field = expression_field(Face(), "5", 64, peak=3.0)
    blink = blink_field(Face(), 64, field)
    grid = pixel_grid(64)
    assert (field.stretch(grid) + blink.stretch(grid)).max() < 0.86
    alone = blink_field(Face(), 64, field.times(0))(grid)
    strongest = np.linalg.norm(alone, axis=0).argmax()
    assert alone[1, strongest] > 1.5
    assert grid[1, strongest] / 64 == pytest.approx(Face().eye_y, abs=0.05)


def test_noise_brings_grain_and_head_drift():
    noisy = list(generate(TINY))
    quiet = list(generate(replace(TINY, noise=0.0)))
    for loud, calm in zip(noisy, quiet, strict=True):
        border = np.abs(loud.flow[:, 0]).max(), np.abs(calm.flow[:, 0]).max()
        assert border[0] > 0.01 > border[1]
    assert 0.5 < smooth_paths(np.random.default_rng(0), 300, 30).std() < 1.5


def test_faces_differ_by_as_much_as_asked():
    same = replace(TINY, identities=0.0)
    assert draw_face(same, 0) == draw_face(same, 2) == Face()
    np.testing.assert_array_equal(face_texture(same, 0), face_texture(same, 2))

    def apart(identities):
        spec = replace(TINY, identities=identities)
        return np.abs(face_texture(spec, 0) - face_texture(spec, 2)).mean()

    assert 1 < apart(0.3) < apart(1.0)


def test_imbalance_spreads_clips_unevenly():
    def counts(imbalance, part):
        spec = SyntheticSpec(clips=150, subjects=10, imbalance=imbalance)
        return np.bincount([getattr(slot, part) for slot in plan_clips(spec)])

    for part in ("subject", "label"):
        assert np.ptp(counts(0.0, part)) <= 1
        uneven = counts(1.0, part)
        assert uneven.max() > 4 * uneven.min()


@st.composite
def specs(draw):
    subjects, classes = draw(st.integers(2, 20)), draw(st.integers(3, 5))
    least = max(subjects, 2 * classes)
    return SyntheticSpec(
        subjects=subjects,
        classes=classes,
        clips=draw(st.integers(least, least + 60)),
        imbalance=draw(st.floats(0, 1)),
        seed=draw(st.integers(0, 2**63 - 1)),
    )


@given(specs())
@settings(max_examples=60, deadline=None)
def test_every_valid_spec_has_all_subjects_and_classes(spec):
    slots = plan_clips(spec)
    assert len(slots) == len({slot.clip_id for slot in slots}) == spec.clips
    assert {slot.subject for slot in slots} == set(range(spec.subjects))
    shown_by = defaultdict(set)
    for slot in slots:
        shown_by[slot.label].add(slot.subject)
    assert sorted(shown_by) == list(range(spec.classes))
    assert min(len(who) for who in shown_by.values()) >= 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subjects", 1),
        ("subjects", 12.0),
        ("classes", 2),
        ("classes", True),
        ("clips", 11),
        ("length", 3),
        ("size", 63),
        ("size", 30),
        ("difficulty", 1.1),
        ("noise", float("nan")),
        ("imbalance", -0.1),
        ("identities", "1"),
        ("seed", -1),
    ],
)
def test_a_bad_spec_is_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"^{field}={value!r}".replace(".", r"\.")):
        SyntheticSpec(**{field: value})


def test_the_class_names_are_those_of_the_field():
    assert class_names(3) == ("negative", "positive", "surprise")
    assert class_names(4) == ("disgust", "happiness", "repression", "surprise")
    assert class_names(5) == (*class_names(4), "others")
