"""The gradient of a batch, a part of it after another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Float
from jmer.nn.dropout import use_part

Gradient = tuple[tuple[Float[Array, ""], Any], Any]
"""A loss and what comes with it, and the gradient of the loss."""


def in_parts(gradient: Callable[..., Gradient], count: int) -> Callable[..., Gradient]:
    """`gradient(params, inputs, label, weight)` of `count` parts of a batch, for a loss
    that is the mean over clips of weight 1: equal to that of the whole, but for
    rounding, and with the memory of a part. What comes with the loss is the last one.

    A batch that cannot be divided is filled with clips of weight 0.
    """

    def whole(params: Any, inputs: Any, label: Array, weight: Array) -> Gradient:
        parts = jax.tree.map(lambda x: _cut(x, count), (inputs, label, weight))
        counted = jnp.maximum(weight.sum(), 1)

        def part(sums: tuple[Any, Any], numbered: Any) -> tuple[tuple[Any, Any], Any]:
            number, (inputs, label, weight) = numbered
            with use_part(number, count):
                (loss, other), grads = gradient(params, inputs, label, weight)
            share = weight.sum() / counted
            made = jax.tree.map(
                lambda total, x: total + jnp.where(share > 0, share * x, 0),
                sums,
                (loss, grads),
            )
            return made, other

        none = jax.tree.map(jnp.zeros_like, (jnp.float32(0), params))
        (loss, grads), others = jax.lax.scan(part, none, (jnp.arange(count), parts))
        return (loss, jax.tree.map(lambda x: x[-1], others)), grads

    return whole


def _cut(x: Array, count: int) -> Array:
    """[count, part, ...] of [b, ...], zeros at its end."""
    lacking = -len(x) % count
    filled = jnp.concatenate([x, jnp.zeros((lacking, *x.shape[1:]), x.dtype)])
    return filled.reshape(count, -1, *x.shape[1:])
