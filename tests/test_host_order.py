"""The order by NumPy is the order by JAX, whichever version that is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmer import keys
from jmer.train.batches import BatchPlan
from jmer.train.host_order import order_of


@pytest.mark.parametrize("clips", [1, 2, 7, 96, 1625, 3000])  # sorted up to twice
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_it_is_the_same(clips, seed):
    plan = BatchPlan.of("shared", 16, clips, clips, clips)
    seeds = jnp.stack([keys.seed_key(seed), keys.seed_key(5)])
    for epoch in (0, 3):
        expected = plan.order(seeds[0], jnp.int32(epoch))
        np.testing.assert_array_equal(order_of(plan, seeds, epoch), expected)


def test_of_other_random_numbers_jax_is_asked():
    plan = BatchPlan.of("shared", 4, 30, 30, 30)
    seeds = jax.random.split(jax.random.key(3, impl="rbg"), 2)
    expected = plan.order(seeds[0], jnp.int32(0))
    np.testing.assert_array_equal(order_of(plan, seeds), expected)
