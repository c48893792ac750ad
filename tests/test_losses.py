"""Losses against PyTorch, and clips that do not count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from jmer.losses import cross_entropy, share_cross_entropy, squared_error, weighted_mean

LOGITS = hnp.arrays(np.float32, (7, 3), elements=st.floats(-1e4, 1e4, width=32))
LABELS = hnp.arrays(np.int32, 7, elements=st.integers(0, 2))


@settings(max_examples=30, deadline=None)
@given(LOGITS, LABELS)
def test_cross_entropy_matches_torch(logits, label):
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        leaf, torch.tensor(label).long(), reduction="none"
    )
    expected.sum().backward()
    value, pull = jax.vjp(lambda x: cross_entropy(x, label), logits)
    assert_allclose(value, expected.detach(), rtol=1e-5, atol=1e-6)
    assert_allclose(pull(jnp.ones(7))[0], leaf.grad, rtol=1e-5, atol=1e-6)


def test_cross_entropy_by_hand():
    loss = cross_entropy(np.log(np.float32([[1, 2, 5], [2, 1, 1]])), np.int32([1, 0]))
    assert_allclose(loss, np.log([8 / 2, 4 / 2]), rtol=1e-6)


def test_cross_entropy_is_float32_of_any_logits():
    logits = jnp.ones((5, 3), jnp.bfloat16)
    assert cross_entropy(logits, jnp.zeros(5, jnp.int32)).dtype == jnp.float32


@settings(max_examples=30, deadline=None)
@given(LOGITS, LABELS)
def test_squared_error_matches_torch(logits, label):
    torch = pytest.importorskip("torch")
    leaf = torch.tensor(logits, requires_grad=True)
    wanted = torch.nn.functional.one_hot(torch.tensor(label).long(), 3).float()
    expected = torch.nn.functional.mse_loss(leaf.softmax(-1), wanted)
    (7 * expected).backward()
    value, pull = jax.vjp(lambda x: squared_error(x, label), logits)
    assert_allclose(value.mean(), expected.detach(), rtol=1e-5, atol=1e-7)
    assert_allclose(pull(jnp.ones(7))[0], leaf.grad, rtol=1e-4, atol=1e-6)


def test_share_cross_entropy_by_hand():
    found, wanted = jnp.float32([0.25, 0.25, 0.5]), jnp.float32([0, 1, 0.3])
    expected = [np.log(4 / 3), np.log(4), np.log(2)]
    assert_allclose(share_cross_entropy(found, wanted), expected, rtol=1e-6)
    ends = share_cross_entropy(jnp.float32([0, 1]), jnp.float32([1, 0]))
    assert_allclose(ends, -np.log(1e-6), rtol=1e-2)


def test_squared_error_by_hand():
    logits = np.log(np.float32([[1, 2, 5], [1, 1e-9, 1e-9]]))
    loss = squared_error(logits, np.int32([1, 2]))
    expected = [(1 / 64 + 36 / 64 + 25 / 64) / 3, 2 / 3]
    assert_allclose(loss, expected, rtol=1e-5)


MEAN = jax.jit(jax.value_and_grad(weighted_mean))
WILD = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_values_of_weight_zero_reach_neither_mean_nor_gradient(data):
    weight = data.draw(hnp.arrays(np.float32, 11, elements=st.sampled_from([0, 1])))
    wild = data.draw(hnp.arrays(np.float32, 11, elements=WILD))
    value = np.where(weight > 0, np.float32(np.arange(11)) - 3, wild)
    mean, gradient = MEAN(value, weight)
    count = weight.sum()
    assert_allclose(mean, value[weight > 0].mean() if count else 0, rtol=1e-6)
    assert_allclose(gradient, weight / max(count, 1), rtol=1e-6)
    assert_array_equal(np.asarray(gradient)[weight == 0], 0)


def test_no_weight_at_all_is_zero():
    assert weighted_mean(jnp.array([jnp.nan, jnp.inf, 3]), jnp.zeros(3)) == 0
