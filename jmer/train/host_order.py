"""The order of an epoch, computed by NumPy.

It is what `jax.random.permutation` gives for JAX's default keys (Threefry of Salmon et
al. 2011, section 4, with 20 rounds), without compiling a sort, which takes longer than
the first epochs of a small training.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmer import keys
from jmer.arrays import PRNGKeyArray
from jmer.train.batches import BatchPlan

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
Words = tuple[np.ndarray, np.ndarray]


def order_of(plan: BatchPlan, seeds: PRNGKeyArray, epoch: int = 0) -> np.ndarray:
    """`plan.order` of the first of `seeds`."""
    default = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    if not default or str(jax.random.key_impl(seeds)) != "threefry2x32":
        return np.asarray(plan.order(seeds[0], jnp.int32(epoch)))
    data = np.asarray(jax.random.key_data(seeds))[0]
    key = (data[:1], data[1:])
    for number in (keys.name_code("order"), epoch):
        key = _threefry(key, _counts(number))
    return _permutation(key, plan.clips)


def _permutation(key: Words, size: int) -> np.ndarray:
    """Numbers below `size`, sorted by random bits, as often as makes ties rare."""
    order = np.arange(size, dtype=np.int32)
    times = np.ceil(3 * np.log(max(1, size)) / np.log(np.iinfo(np.uint32).max))
    for _ in range(int(times)):
        first, second = _threefry(key, _counts(0, 1))
        key, own = (first[:1], second[:1]), (first[1:], second[1:])
        one, other = _threefry(own, _counts(*range(size)))
        order = order[np.argsort(one ^ other, kind="stable")]
    return order


def _counts(*numbers: int) -> Words:
    low = np.array(numbers, np.uint32)
    return np.zeros_like(low), low


def _threefry(key: Words, counts: Words) -> Words:
    """Threefry-2x32 of each pair of counts."""
    words = (*key, key[0] ^ key[1] ^ np.uint32(PARITY))
    x, y = counts[0] + words[0], counts[1] + words[1]
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x = x + y
            y = (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
            y = x ^ y
        x = x + words[(block + 1) % 3]
        y = y + words[(block + 2) % 3] + np.uint32(block + 1)
    return x, y
