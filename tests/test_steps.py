"""Steps of clips: means over those that are there, parts of clips, a few at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numeric import close, normal
from numpy.testing import assert_allclose, assert_array_equal

from jmer.nn import vgg
from jmer.nn.steps import in_turn, log_mean, shares, windows


def test_the_mean_is_of_probabilities_that_count():
    logits, counts = normal(1, 2, 5, 3), normal(2, 2, 5)
    counts[1, 3:] = -np.inf
    each = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    weight = np.exp(counts) / np.exp(counts).sum(-1, keepdims=True)
    close(jnp.exp(log_mean(logits, counts)), (weight[..., None] * each).sum(1))
    odds = 1 / (1 + np.exp(-logits))  # of sets, each class by itself
    found = log_mean(logits, counts, jax.nn.log_sigmoid)
    close(jnp.exp(found), (weight[..., None] * odds).sum(1))


def test_steps_that_are_there_share_their_clip():
    there = np.float32([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]])
    assert_allclose(shares(there), [[0.25] * 4, [1, 0, 0, 0], [0] * 4])


def test_a_window_begins_where_it_is_told():
    x = normal(3, 2, 7, 3)
    found = windows(jnp.asarray(x), jnp.array([0, 4]), 3)
    assert_array_equal(found, [x[0, :3], x[1, 4:]])


@pytest.mark.parametrize("size", [1, 3, 7, 9])
def test_rows_in_turn_are_rows_at_once(size):
    x = jnp.asarray(normal(4, 7, 2, 3))
    found = in_turn(lambda part: part.sum(2) ** 2, x, size)
    assert found.shape == (7, 2)
    close(found, x.sum(2) ** 2)


def test_pixels_lie_about_the_mean_of_imagenet():
    """Blue comes first."""
    frames = np.zeros((1, 2, 2, 3), np.uint8)
    frames[..., 0], frames[..., 2] = 124, 103
    assert_allclose(
        vgg.about_zero(frames)[0, 1, 1], [-0.939, -116.779, 0.32], atol=1e-4
    )
