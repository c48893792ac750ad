"""A few frames of a stored clip: evenly spread, or drawn anew whenever it is seen.

A clip that had fewer frames than are stored is filled up with its first and last one
(`uniform` of `jmer.preprocess.temporal`). A frame that is the same as the one before it
counts as filling, so that it is neither drawn nor spread over.
"""

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Bool, Int, PRNGKeyArray, Shaped, typed


@typed
def spread(clip: Shaped[Array, "b t h w c"], n: int) -> Shaped[Array, "b n h w c"]:
    """The central frames of `n` equal segments; of fewer frames than `n` all, the
    first and the last repeated around them."""
    own = _own(clip)
    return _taken(clip, own, _even(own.sum(1), n))


@typed
def drawn(
    clip: Shaped[Array, "b t h w c"], n: int, key: PRNGKeyArray
) -> Shaped[Array, "b n h w c"]:
    """Any `n` frames of each clip in their order, every choice as likely; of fewer
    frames than `n`, as `spread`."""
    own = _own(clip)
    count = own.sum(1)
    chance = jax.random.uniform(key, own.shape)
    beyond = jnp.arange(own.shape[1]) >= count[:, None]
    first = jnp.argsort(jnp.where(beyond, 2.0, chance), axis=1)[:, :n]
    ranks = jnp.where((count >= n)[:, None], jnp.sort(first, 1), _even(count, n))
    return _taken(clip, own, ranks)


def _own(clip: Array) -> Bool[Array, "b t"]:
    """Which frames are not the same as those before them."""
    new = (clip[:, 1:] != clip[:, :-1]).any(axis=(2, 3, 4))
    return jnp.concatenate([jnp.ones((len(clip), 1), bool), new], axis=1)


def _even(count: Int[Array, " b"], n: int) -> Int[Array, "b n"]:
    steps, count = jnp.arange(n), count[:, None]
    filled = jnp.clip(steps - (n - count) // 2, 0, count - 1)
    return jnp.where(count < n, filled, (2 * steps + 1) * count // (2 * n))


def _taken(clip: Array, own: Array, ranks: Array) -> Array:
    """The frames that have these ranks among a clip's own."""
    t = own.shape[1]
    order = jnp.argsort(jnp.where(own, 0, t) + jnp.arange(t), axis=1)
    index = jnp.take_along_axis(order, ranks, axis=1)
    return jnp.take_along_axis(clip, index[..., None, None, None], axis=1)
