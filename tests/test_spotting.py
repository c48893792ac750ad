"""Spotting against scikit-learn and values worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as reference

from jmer.errors import JmerError
from jmer.scores import intervals
from jmer.scores.intervals import STATES, Score, Video

NONE = np.zeros((0, 2), int)


def video(found, true, **labels):
    labels = {name: np.array(value, int) for name, value in labels.items()}
    rows = (np.array(part, int).reshape(-1, 2) for part in (found, true))
    return Video(*rows, **labels)


def test_intensity_rises_and_falls_in_straight_lines():
    found = intervals.linear_intensity(1, 3, 7, 9)
    assert found.dtype == np.float32
    assert_allclose(found, [0, 0, 0.5, 1, 0.75, 0.5, 0.25, 0, 0])
    assert_array_equal(intervals.linear_intensity(2, 2, 2, 4), [0, 0, 1, 0])
    assert_array_equal(intervals.linear_intensity(0, 0, 2, 3), [1, 0.5, 0])
    with pytest.raises(ValueError, match="order"):
        intervals.linear_intensity(3, 2, 4, 5)


def test_states_follow_the_levels_on_either_side_of_the_peak():
    intensity = np.array([0.05, 0.1, 0.29, 0.3, 0.8, 0.9, 0.85, 0.79, 0.2, 0.0])
    names = [STATES[i] for i in intervals.states(intensity)]
    assert names == [
        *("neutral", "onset", "onset", "onset-apex", "apex", "apex", "apex"),
        *("apex-offset", "offset", "neutral"),
    ]
    weak = [STATES[i] for i in intervals.states(np.array([0.2, 0.4, 0.4, 0.2]))]
    assert weak == ["onset", "onset-apex", "apex-offset", "offset"]
    # Each expression of a video has a peak of its own.
    two = np.array([0.2, 0.9, 0.2, 0.0, 0.2, 0.5, 0.2])
    assert [STATES[i] for i in intervals.states(two)] == [
        *("onset", "apex", "offset", "neutral", "onset", "onset-apex", "offset")
    ]


def test_intervals_are_cut_merged_and_dropped():
    intensity = np.array([0.5, 0, 0.2, 0.1, 0, 0, 0.3, 0.09, 0.4])
    every = intervals.intervals(intensity)
    assert_array_equal(every, [[0, 0], [2, 3], [6, 6], [8, 8]])
    merged = intervals.intervals(intensity, max_gap=1)
    assert_array_equal(merged, [[0, 3], [6, 8]])
    # Merged before they are measured.
    long = intervals.intervals(intensity, max_gap=1, min_frames=4)
    assert_array_equal(long, [[0, 3]])
    assert_array_equal(intervals.intervals(intensity, threshold=0.4), [[0, 0], [8, 8]])
    assert intervals.intervals(intensity, threshold=0.6).shape == (0, 2)
    assert_array_equal(intervals.intervals(np.ones(3)), [[0, 2]])


@given(st.lists(st.booleans(), max_size=12))
def test_intervals_cover_exactly_the_frames_above(above):
    covered = np.zeros(len(above), bool)
    for onset, offset in intervals.intervals(np.array(above, float), threshold=0.5):
        assert not covered[onset : offset + 1].any()
        covered[onset : offset + 1] = True
    assert_array_equal(covered, above)


frames = st.lists(
    st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: 0 < sum(p for _, p in rows) < len(rows))


@given(frames)
def test_roc_is_scikit_learns(rows):
    score, positive = (np.array(column) for column in zip(*rows, strict=True))
    curve = intervals.roc(score / 5, positive)
    false, true, threshold = reference.roc_curve(
        positive, score / 5, drop_intermediate=False
    )
    assert_allclose(curve.false_positive, false)
    assert_allclose(curve.true_positive, true)
    assert_allclose(curve.threshold, threshold)
    assert curve.area == pytest.approx(reference.roc_auc_score(positive, score))


def test_area_counts_ties_half():
    positive = np.array([True, True, False, False])
    assert intervals.roc(np.array([3.0, 1, 1, 0]), positive).area == 7 / 8


def test_frames_of_one_kind_have_no_roc():
    for kind, word in ((True, "within"), (False, "outside")):
        with pytest.raises(JmerError, match=f"all 3 frames are {word}.*neutral frames"):
            intervals.roc(np.arange(3.0), np.full(3, kind))
    with pytest.raises(JmerError, match="1 of 2 scores"):
        intervals.roc(np.array([0.0, np.nan]), np.array([True, False]))


def test_overlap_counts_both_ends():
    some = video([[0, 9], [20, 20]], [[5, 14], [10, 19], [20, 20]])
    assert_allclose(some.overlap, [[5 / 15, 0, 0], [0, 0, 1]])


def test_a_true_interval_is_found_once():
    some = video([[0, 9], [1, 10], [30, 39]], [[0, 9], [33, 36]])
    assert_array_equal(some.pairs(), [[0, 0]])
    score = intervals.interval_score([some, video(NONE, [[2, 5]]), video(NONE, NONE)])
    assert score == Score(hits=1, found=3, true=3)
    assert (score.precision, score.recall, score.f1) == (1 / 3, 1 / 3, 1 / 3)
    # Exactly half is enough: 5 of 10 frames.
    assert len(video([[0, 4]], [[0, 9]]).pairs()) == 1
    assert len(video([[0, 3]], [[0, 9]]).pairs()) == 0
    assert Score(0, 0, 0).f1 == Score(0, 0, 0).precision == Score(0, 0, 0).recall == 0


spans = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5)).map(lambda p: (p[0], sum(p))),
    max_size=4,
)


@settings(max_examples=60)
@given(spans, spans)
def test_no_pairing_has_more_pairs(found, true):
    some = video(found, true)
    pairs = some.pairs(0.4)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    overlap = some.overlap
    assert (overlap[tuple(pairs.T)] >= 0.4).all()
    size = max(len(found), len(true))
    table = np.zeros((size, size), bool)
    table[: len(found), : len(true)] = overlap >= 0.4
    best = max(
        sum(table[i, j] for i, j in enumerate(order))
        for order in itertools.permutations(range(size))
    )
    assert len(pairs) == best


def test_spot_then_recognise_by_hand():
    videos = [
        video(
            [[0, 9], [20, 29], [50, 59]],
            [[0, 9], [20, 29]],
            found_label=[0, 1, 2],
            true_label=[0, 0],
        ),
        video([[5, 9]], [[5, 9], [30, 40]], found_label=[1], true_label=[1, 2]),
    ]
    found = intervals.spot_then_recognise(videos, classes=4)
    assert found.spotting == 2 * 3 / (4 + 4)
    # Precision 1, 1/2 and 0 of the three classes that occur, recall 1/2, 1 and 0.
    precision, recall = (1 + 1 / 2) / 3, (1 / 2 + 1) / 3
    expected = 2 * precision * recall / (precision + recall)
    assert found.analysis == pytest.approx(expected)
    assert found.strs == pytest.approx(0.75 * expected)


def test_nothing_spotted_or_recognised_scores_zero():
    missed = video(NONE, [[0, 3]], found_label=[], true_label=[0])
    wrong = video([[0, 3]], [[0, 3]], found_label=[1], true_label=[0])
    assert intervals.spot_then_recognise([missed], 2) == (0, 0)
    assert intervals.spot_then_recognise([wrong], 2) == (1, 0)
    assert intervals.spot_then_recognise([wrong], 2).strs == 0


@pytest.mark.parametrize(
    ("found", "labels", "message"),
    [
        ([[3, 2]], {}, "no \\(onset, offset\\)"),
        ([[2, 3]], {"found_label": [0, 1]}, "2 labels for 1"),
    ],
)
def test_intervals_and_labels_must_fit(found, labels, message):
    with pytest.raises(ValueError, match=message):
        video(found, NONE, **labels)
