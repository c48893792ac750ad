"""Orders of clips: each training clip once an epoch, no other ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmer import keys
from jmer.train.batches import BatchPlan

KEY = keys.named(keys.seed_key(0), "s1")


def epoch(plan, train, number=0, key=KEY):
    order, weight = plan.epoch(key, jnp.asarray(train), jnp.asarray(number))
    return np.asarray(order), np.asarray(weight)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=23), st.integers(1, 9))
@pytest.mark.parametrize("mode", ["own", "shared"])
def test_every_training_clip_counts_once_and_no_other(mode, train, batch_size):
    train = np.array(train)
    plan = BatchPlan.of(mode, batch_size, len(train), max(1, train.sum()))
    order, weight = epoch(plan, train)
    assert order.shape == weight.shape == (plan.steps, plan.size)
    assert plan.size <= batch_size
    assert sorted(order[weight > 0]) == np.flatnonzero(train).tolist()
    assert set(np.unique(weight)) <= {0.0, 1.0}


def test_own_batches_are_full_up_to_the_rest():
    _, weight = epoch(BatchPlan.of("own", 4, 13, 11), np.arange(13) < 11)
    np.testing.assert_array_equal(weight.sum(1), [4, 4, 3])


def test_shared_batches_have_equal_sizes():
    plan = BatchPlan.of("shared", 256, 442, 441)
    assert (plan.steps, plan.size) == (2, 221)


def test_own_orders_differ_between_epochs_and_tasks():
    plan, train = BatchPlan.of("own", 5, 23, 23), np.ones(23, bool)
    first = epoch(plan, train)[0]
    assert (first != epoch(plan, train, 1)[0]).any()
    other = keys.named(keys.seed_key(0), "s2")
    assert (first != epoch(plan, train, key=other)[0]).any()
    np.testing.assert_array_equal(first, epoch(plan, train)[0])


def test_shared_orders_are_the_same_for_all_tasks():
    plan = BatchPlan.of("shared", 5, 23, 20)
    mine = np.arange(23) < 20
    other = keys.named(keys.seed_key(7), "s2")
    order, weight = epoch(plan, mine)
    np.testing.assert_array_equal(order, epoch(plan, ~mine, key=other)[0])
    np.testing.assert_array_equal(weight[order >= 20], 0)


def test_own_order_does_not_depend_on_the_other_folds():
    """The largest fold decides the sizes, not the order."""
    train = np.arange(23) % 3 > 0
    small = epoch(BatchPlan.of("own", 5, 23, train.sum()), train)
    large = epoch(BatchPlan.of("own", 5, 23, 22), train)
    np.testing.assert_array_equal(small[0][small[1] > 0], large[0][large[1] > 0])


def test_a_shared_step_sees_one_input_for_all_tasks():
    """Under vmap over tasks the order has no task axis."""
    plan = BatchPlan.of("shared", 4, 7, 6)
    train = jnp.ones((3, 7), bool)
    orders = jax.make_jaxpr(
        jax.vmap(lambda t: plan.epoch(KEY, t, jnp.asarray(0))[0], out_axes=None)
    )(train)
    assert orders.out_avals[0].shape == (plan.steps, plan.size)
