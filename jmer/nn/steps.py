"""Clips of many steps: parts of them, a few at a time, and means over what is there."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float, Int, Shaped, typed


@typed
def log_mean(
    logits: Float[Array, "b s k"],
    counts: Float[Array, "b s"],
    log: Callable[[Array], Array] = jax.nn.log_softmax,
) -> Float[Array, "b k"]:
    """Logarithm of the mean over steps of the probabilities whose logarithms `log`
    makes of logits; each step counts as much as the exponential of `counts`.
    """
    counts = counts - jax.nn.logsumexp(counts, axis=1, keepdims=True)
    return jax.nn.logsumexp(log(logits) + counts[..., None], axis=1)


@typed
def shares(there: Float[Array, "b s"]) -> Float[Array, "b s"]:
    """What each step has of its clip, where 1 marks those that are there, and 0 what
    fills up."""
    return there / jnp.maximum(there.sum(1, keepdims=True), 1)


@typed
def windows(
    x: Shaped[Array, "b t ..."], start: Int[Array, " b"], length: int
) -> Shaped[Array, "b s ..."]:
    """`length` frames of each clip, from its `start`."""
    return jax.vmap(lambda x, i: lax.dynamic_slice_in_dim(x, i, length))(x, start)


def in_turn(function: Callable[[Array], Array], x: Array, size: int) -> Array:
    """`function` of `size` rows of `x` at a time, which bounds its memory: until then
    they lie flat, since colours as a last axis are padded to 128 on a TPU."""
    parts = -(-len(x) // size)
    flat = x.reshape(len(x), -1)
    rows = jnp.pad(flat, [(0, parts * size - len(x)), (0, 0)])
    made = lax.map(
        lambda part: function(part.reshape(size, *x.shape[1:])),
        rows.reshape(parts, size, -1),
    )
    return made.reshape(-1, *made.shape[2:])[: len(x)]
