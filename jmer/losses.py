"""Losses, in float32, with a weight for each clip."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Bool, Float, Int, typed

CrossEntropy = Callable[[Array, Array], Array]
"""Of logits and labels: classes, or sets of action units, which have an axis more."""

_made: ContextVar[CrossEntropy | None] = ContextVar("cross_entropy", default=None)


@contextlib.contextmanager
def use_cross_entropy(made: CrossEntropy) -> Iterator[None]:
    """Inside, `cross_entropy` and `binary_cross_entropy` are what an experiment makes
    of them."""
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
def binary_cross_entropy(
    logits: Float[Array, "*b k"], shown: Bool[Array, "*b k"]
) -> Float[Array, "*b"]:
    """-log of the probability, sigmoid(logits), that each of k action units is `shown`
    or is not, its mean over them, for each clip, in nats.

    While a network trains whose experiment has a `loss`: what that makes of it.
    """
    if (made := _made.get()) is not None:
        return made(logits, shown)
    wide = logits.astype(jnp.float32)
    return (jax.nn.softplus(wide) - jnp.where(shown, wide, 0)).mean(-1)


@typed
def label_loss(
    logits: Float[Array, "*b k"], label: Int[Array, "*b"] | Bool[Array, "*b k"]
) -> Float[Array, "*b"]:
    """What each clip loses by its label: `cross_entropy` where that is a class,
    `binary_cross_entropy` where it is a set of action units."""
    if label.ndim == logits.ndim:
        return binary_cross_entropy(logits, label)
    return cross_entropy(logits, label)


@typed
def squared_error(
    logits: Float[Array, "*b k"], label: Int[Array, "*b"] | Bool[Array, "*b k"]
) -> Float[Array, "*b"]:
    """(softmax(logits) - one-hot(label))^2, its mean over classes, for each clip; of
    action units, (sigmoid(logits) - shown)^2.

    From 0 to 2 / k; also known as Brier's score, which is k times as much.
    """
    if label.ndim == logits.ndim:
        each = jax.nn.sigmoid(logits.astype(jnp.float32))
        return jnp.square(each - label).mean(-1)
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
