"""What layers do with tokens [b, t, d] as a whole."""

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from jmer.arrays import Array, Float
from jmer.nn.lowering.choice import current


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


def _is_first(tokens: Array) -> Array:
    return jnp.arange(tokens.shape[1])[:, None] == 0
