"""Losses, in float32, with a weight for each clip."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Float, Int, typed

CrossEntropy = Callable[[Array, Array], Array]

_made: ContextVar[CrossEntropy | None] = ContextVar("cross_entropy", default=None)


@contextlib.contextmanager
def use_cross_entropy(made: CrossEntropy) -> Iterator[None]:
    """Inside, `cross_entropy` is what an experiment makes of it."""
    token = _made.set(made)
    try:
        yield
    finally:
        _made.reset(token)


@typed
def cross_entropy(
    logits: Float[Array, "*b k"], label: Int[Array, "*b"]
) -> Float[Array, "*b"]:
    """-log softmax(logits)[label], for each clip, in nats.

    While a network trains whose experiment has a `loss`: what that makes of it.
    """
    if (made := _made.get()) is not None:
        return made(logits, label)
    log_probability = jax.nn.log_softmax(logits.astype(jnp.float32))
    # A one-hot product has a cheaper gradient than a gather.
    chosen = jax.nn.one_hot(label, logits.shape[-1], dtype=jnp.float32)
    return -(log_probability * chosen).sum(-1)


@typed
def squared_error(
    logits: Float[Array, "*b k"], label: Int[Array, "*b"]
) -> Float[Array, "*b"]:
    """(softmax(logits) - one-hot(label))^2, its mean over classes, for each clip.

    From 0 to 2 / k; also known as Brier's score, which is k times as much.
    """
    probability = jax.nn.softmax(logits.astype(jnp.float32))
    wanted = jax.nn.one_hot(label, logits.shape[-1], dtype=jnp.float32)
    return jnp.square(probability - wanted).mean(-1)


@typed
def share_cross_entropy(
    found: Float[Array, "*b"], wanted: Float[Array, "*b"]
) -> Float[Array, "*b"]:
    """-(wanted log(found) + (1 - wanted) log(1 - found)) of shares, in nats.

    `found` counts as 1e-6 and 1 - 1e-6 beyond these.
    """
    likely = jnp.clip(found.astype(jnp.float32), 1e-6, 1 - 1e-6)
    return -(wanted * jnp.log(likely) + (1 - wanted) * jnp.log1p(-likely))


@typed
def weighted_mean(
    value: Float[Array, " b"], weight: Float[Array, " b"]
) -> Float[Array, ""]:
    """The mean over clips of weight 1; 0 if there is none.

    A clip of weight 0 contributes nothing, even where its value is not finite.
    """
    total = jnp.where(weight > 0, value * weight, 0).sum()
    return total / jnp.maximum(weight.sum(), 1)
