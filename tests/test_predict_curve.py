"""What several trainings say of a video together: their curve, and its intervals."""

import numpy as np
import pytest
from scipy.special import expit, logit

from jmer.predict.curve import Curve
from jmer.scores.intervals import Video, interval_score
from jmer.scores.spotting import Rule

RULE = Rule()
TRUE = np.array([[12, 22], [41, 50]])
NOBODY = np.zeros(2, int)


def learnt(rng):
    """An intensity that is near 1 within the expressions, and near 0 outside."""
    curve = rng.uniform(0, 0.03, 64)
    for onset, offset in TRUE:
        n = offset - onset + 1
        curve[onset : offset + 1] += 0.6 * np.sin(np.linspace(0.4, 2.7, n))
    return curve


def dead(rng, level):
    return np.clip(level + rng.normal(0, 0.02, 64), 1e-4, 1)


def of(*members):
    made = np.stack(members)
    return Curve(np.arange(made.shape[1]) / 30, made, None)


def f1(curve):
    found = curve.intervals(RULE)[:, [0, 2]]
    video = Video(found, TRUE, np.zeros(len(found), int), NOBODY)
    return interval_score([video]).f1


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("good, levels", [
    (3, [0.22]), (2, [0.22]), (1, [0.22]), (3, [0.3, 0.22]), (2, [0.22, 0.22]),
    (3, [0.01]), (2, [0.01]), (3, [0.01, 0.01]), (3, [0.22, 0.01]), (5, []), (1, []),
])  # fmt: skip
def test_trainings_that_never_learnt_change_no_interval(rng, good, levels):
    """As long as they are fewer; or as many, and say too much of every moment."""
    members = [learnt(rng) for _ in range(good)] + [dead(rng, x) for x in levels]
    assert f1(of(*members)) == 1


def test_a_mean_would_find_nothing_but_the_whole_video(rng):
    both = of(learnt(rng), dead(rng, 0.24))
    assert f1(of(both.intensity.mean(0))) == 0
    assert f1(both) == 1


def test_where_half_find_nothing_no_interval_is_found(rng):
    assert f1(of(learnt(rng), dead(rng, 0.001))) == 0


@pytest.mark.parametrize("members", [1, 3, 7])
def test_odd_numbers_vote(rng, members):
    values = rng.uniform(size=(members, 200))
    middle = of(*values).middle
    np.testing.assert_array_equal(middle, np.median(values, 0))
    for threshold in (0.1, 0.37, 0.9):
        votes = (values >= threshold).sum(0) > members / 2
        np.testing.assert_array_equal(middle >= threshold, votes)


def test_two_meet_halfway_in_log_odds(rng):
    values = rng.uniform(0.01, 0.99, (4, 50))
    middle = of(*values).middle
    low, high = np.sort(values, 0)[1:3]
    np.testing.assert_allclose(logit(middle), (logit(low) + logit(high)) / 2)
    np.testing.assert_array_equal(of(*values[::-1]).middle, middle)
    assert ((low <= middle) & (middle <= high)).all()
    same = of(values[0], values[0]).middle
    np.testing.assert_array_equal(same, values[0])


def test_intensities_of_nothing_and_all_stay_numbers():
    middle = of(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])).middle
    assert middle[0] == 0 and middle[2] == 1
    assert middle[1] == pytest.approx(expit(0.0))
