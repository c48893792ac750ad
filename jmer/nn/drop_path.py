"""Stochastic depth."""

import jax.numpy as jnp

from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn.dropout import dropout


@typed
def drop_path(
    x: Float[Array, "b ..."], rate: float, key: PRNGKeyArray | None
) -> Float[Array, "b ..."]:
    """The branch of a residual layer, left out of whole clips with probability `rate`
    and scaled in the others to keep the mean. Huang et al. 2016, as timm scales it.

    No key means that no branch is left out.

    Raises: ValueError if `rate` is outside [0, 1).
    """
    return x * dropout(jnp.ones((len(x), *(1,) * (x.ndim - 1)), x.dtype), rate, key)
