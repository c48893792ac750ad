"""Orders of clips: each training clip once an epoch, no other ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmer import keys
from jmer.train.batches import BatchPlan

SEED = keys.seed_key(0)


def epoch(plan, train, number=0, seed=SEED):
    order = plan.order(seed, jnp.asarray(number))
    return jax.tree.map(np.asarray, plan.batches(order, jnp.asarray(train)))


def plan_of(mode, batch_size, train, **sizes):
    count = max(1, int(np.sum(train)))
    sizes = {"smallest": count, "largest": count} | sizes
    return BatchPlan.of(mode, batch_size, len(train), **sizes)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.booleans(), min_size=13, max_size=13),  # sizes are compiled
    st.sampled_from([1, 4, 10, 20]),
    st.integers(0, 3),
)
@pytest.mark.parametrize("mode", ["own", "shared"])
def test_every_training_clip_counts_once_and_no_other(mode, train, batch_size, fewer):
    train = np.array(train)
    smallest = max(1, train.sum() - fewer)
    plan = plan_of(mode, batch_size, train, smallest=smallest)
    index, weight = epoch(plan, train)
    assert index.shape == weight.shape == (plan.steps, plan.width)
    assert sorted(index[weight > 0]) == np.flatnonzero(train).tolist()
    assert set(np.unique(weight)) <= {0.0, 1.0}
    assert (weight.sum(1) <= batch_size).all()


@pytest.mark.parametrize("smallest", [3, 11], ids=["apart", "together"])
def test_own_batches_are_full_up_to_the_rest(smallest):
    train = np.arange(13) < 11
    plan = plan_of("own", 4, train, smallest=smallest)
    assert plan.together == (smallest == 11)
    np.testing.assert_array_equal(epoch(plan, train)[1].sum(1), [4, 4, 3])


def test_shared_batches_have_equal_sizes():
    plan = BatchPlan.of("shared", 256, 442, 403, 441)
    assert (plan.steps, plan.size, plan.width) == (2, 221, 221)


def test_own_batches_are_read_together_where_little_is_held_out():
    large = BatchPlan.of("own", 256, 442, 403, 441)
    assert (large.steps, large.width, large.together) == (2, 295, True)
    small = BatchPlan.of("own", 16, 442, 403, 441)
    assert (small.steps, small.width, small.together) == (28, 16, False)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([2, 5, 17]), st.integers(1, 5), st.integers(0, 99))
def test_own_batches_are_the_same_read_together_or_apart(clips, held_out, seed):
    """Clip by clip: how the folds' sizes differ decides how they are read."""
    train = np.random.default_rng(seed).permutation(clips) >= min(held_out, clips - 1)
    size = max(1, clips // 2)
    apart = BatchPlan("own", size, -(-clips // size), clips, size, together=False)
    width = min(size + held_out, clips)
    together = BatchPlan("own", size, -(-clips // size), clips, width, together=True)
    chosen = [epoch(plan, train) for plan in (apart, together)]
    for step in range(apart.steps):
        first, second = (index[step][weight[step] > 0] for index, weight in chosen)
        np.testing.assert_array_equal(first, second)


def balanced(train, label, size, number=0, classes=3):
    plan = plan_of("own", size, train, sampling="balanced")
    key = keys.named(SEED, "epoch", number)
    drawn = plan.draw(key, jnp.asarray(train), jnp.asarray(label, jnp.int32), classes)
    return plan, *map(np.asarray, drawn)


def test_balanced_batches_have_every_class_and_every_clip_of_it_as_often():
    label = np.repeat([0, 1, 2, 0], [30, 5, 2, 3])
    train = np.arange(40) < 37  # the last three are held out
    found = [balanced(train, label, 12, number) for number in range(200)]
    index = np.stack([index for _, index, _ in found])
    assert index.shape == (200, 3, 12)  # 37 clips are three whole batches
    assert set(index.ravel()) == set(range(37))
    share = np.bincount(index.ravel(), minlength=37) / index.size
    for own in (range(30), range(30, 35), range(35, 37)):
        np.testing.assert_allclose(share[own].sum(), 1 / 3, atol=0.03)
        np.testing.assert_allclose(share[own], 1 / 3 / len(own), atol=0.012)


def test_balanced_epochs_have_the_whole_batches_of_their_task():
    label = np.arange(20) % 3
    plan = BatchPlan.of("own", 4, 20, 9, 18, sampling="balanced")
    assert plan.steps == 4
    for count, whole in ((18, 4), (9, 2), (3, 1)):
        train = jnp.arange(20) < count
        _, weight = plan.draw(SEED, train, jnp.asarray(label, jnp.int32), 3)
        np.testing.assert_array_equal(weight.sum(1), [4] * whole + [0] * (4 - whole))
        assert int(plan.updates(jnp.asarray(count))) == whole


@pytest.mark.parametrize("smallest", [9, 11], ids=["apart", "together"])
@pytest.mark.parametrize("mode", ["own", "shared"])
def test_every_version_of_a_training_clip_counts_once(mode, smallest):
    train = np.arange(13) < 11
    plan = BatchPlan.of(mode, 4, 13, smallest, 11, versions=3)
    index, weight = epoch(plan, train)
    assert (weight.sum(1) <= 4).all() and weight.sum() == 33
    clip, version = plan.split(index[weight > 0])
    pairs = sorted(zip(clip.tolist(), version.tolist(), strict=True))
    assert pairs == [(i, v) for i in range(11) for v in range(3)]
    assert plan.updates(11) == (9 if mode == "own" else 10)


def test_balanced_batches_have_every_version():
    label = jnp.arange(13, dtype=jnp.int32) % 3
    train = jnp.arange(13) < 11
    plan = BatchPlan.of("own", 4, 13, 9, 11, sampling="balanced", versions=2)
    assert (plan.steps, int(plan.updates(jnp.array(11)))) == (5, 5)
    seen = set()
    for number in range(60):
        key = keys.named(SEED, "epoch", number)
        clip, version = plan.split(plan.draw(key, train, label, 3)[0])
        seen |= set(zip(clip.ravel().tolist(), version.ravel().tolist(), strict=True))
    assert seen == {(i, v) for i in range(11) for v in range(2)}


@pytest.mark.parametrize(("mode", "counts"), [("own", [5, 4]), ("shared", [5, 5])])
def test_updates_of_an_epoch(mode, counts):
    plan = BatchPlan.of(mode, 4, 20, 15, 18)
    assert [int(plan.updates(jnp.asarray(n))) for n in (18, 15)] == counts


def test_orders_differ_between_epochs_and_seeds():
    plan, train = plan_of("own", 5, np.ones(23)), np.ones(23, bool)
    first = epoch(plan, train)[0]
    assert (first != epoch(plan, train, 1)[0]).any()
    assert (first != epoch(plan, train, seed=keys.seed_key(1))[0]).any()
    np.testing.assert_array_equal(first, epoch(plan, train)[0])


@pytest.mark.parametrize("batch_size", [3, 13])
def test_own_order_does_not_depend_on_the_other_folds(batch_size):
    """They decide how much is read, not what counts."""
    train = np.arange(23) % 3 > 0
    plans = [
        plan_of("own", batch_size, train),
        plan_of("own", batch_size, train, smallest=9, largest=22),
    ]
    counted = [index[weight > 0] for index, weight in (epoch(p, train) for p in plans)]
    np.testing.assert_array_equal(*counted)


@pytest.mark.parametrize(("mode", "size"), [("shared", 4), ("own", 6)])
def test_a_step_read_together_is_one_input_for_all_tasks(mode, size):
    """Under vmap over tasks the clips have no task axis."""
    plan = BatchPlan.of(mode, size, 7, 6, 7)
    train = jnp.ones((3, 7), bool)
    order = plan.order(SEED, jnp.asarray(0))
    index = jax.vmap(lambda t: plan.batches(order, t)[0], out_axes=None)(train)
    assert index.shape == (plan.steps, plan.width)
