"""What layers do with tokens [b, t, d] as a whole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jax.typing import DTypeLike

from jmer.arrays import Array, Float
from jmer.nn.lowering.choice import current


def first_of(tokens: int, count: int | None) -> int:
    """How many of so many tokens are somebody's: the first `count`, or all.

    Raises: ValueError if there are not so many.
    """
    if count is None:
        return tokens
    if not 0 < count <= tokens:
        raise ValueError(f"{count=} must be 1 to {tokens}, the number of tokens")
    return count


def in_rows(x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
    """Tokens as they are, in the order of their axes on a TPU too: where its tiles hold
    clips better than tokens, its compiler would mix those up, and lay them out anew for
    attention."""
    if current() != "tpu":
        return x
    return with_layout_constraint(x, Layout(major_to_minor=tuple(range(x.ndim))))


@jax.custom_vjp
def with_first(
    token: Float[Array, "b 1 d"], tokens: Float[Array, "b t d"]
) -> Float[Array, "b t d"]:
    """`tokens` with another first one."""
    # No concatenation, which would move all others by one place and, on a TPU, lay
    # them out anew, there and back.
    return jnp.where(_is_first(tokens), token, tokens)


def _parts(_: None, dy: Array) -> tuple[Array, Array]:
    return dy[:, :1], jnp.where(_is_first(dy), 0, dy)


with_first.defvjp(lambda token, tokens: (with_first(token, tokens), None), _parts)


@jax.custom_vjp
def first(tokens: Float[Array, "b t d"]) -> Float[Array, "b 1 d"]:
    """The first of them, that of the class."""
    return tokens[:, :1]


def _alone(is_first: Array, dy: Array) -> tuple[Array]:
    # Zeros that were put after it would be an array of their own.
    return (jnp.where(is_first, dy, 0),)


first.defvjp(lambda tokens: (first(tokens), _is_first(tokens)), _alone)


def settled(x: Float[Array, "b t d"], dtype: DTypeLike) -> Float[Array, "b t d"]:
    """Tokens that leave a layer, float32, which are `in_rows`. On a GPU they are made
    once for all that reads them, and so is their gradient, in the type of products."""
    return _settled(x, jnp.dtype(dtype)) if current() == "gpu" else in_rows(x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _settled(x: Array, dtype: np.dtype) -> Array:
    return lax.optimization_barrier(x)


def _narrow(dtype: np.dtype, _: None, dy: Array) -> tuple[Array]:
    return (lax.optimization_barrier(dy.astype(dtype)).astype(dy.dtype),)


_settled.defvjp(lambda x, dtype: (_settled(x, dtype), None), _narrow)


def meeting(x: Float[Array, "b t d"], dtype: DTypeLike) -> Float[Array, "b t d"]:
    """Tokens between two branches of a layer, `in_rows`. On a GPU their gradient is
    made once for all that reads it, in the type of products: else its compiler makes it
    anew in each, with more operands than a kernel has registers for."""
    return _meeting(x, jnp.dtype(dtype)) if current() == "gpu" else in_rows(x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _meeting(x: Array, dtype: np.dtype) -> Array:
    return x


_meeting.defvjp(lambda x, dtype: (x, None), _narrow)


def _is_first(tokens: Array) -> Array:
    return jnp.arange(tokens.shape[1])[:, None] == 0
