"""Dropout with few random bits."""

import jax
import jax.numpy as jnp

from jmer.arrays import Array, Float, PRNGKeyArray, typed


@typed
def dropout(
    x: Float[Array, "..."], rate: float, key: PRNGKeyArray | None
) -> Float[Array, "..."]:
    """Zeroes elements with probability `rate` and scales the rest to keep the mean.

    The rate is rounded to a multiple of 1/65536 (of 1/256 where that is exact, which
    takes half the random bits). No key means no dropout. Srivastava et al. 2014.

    Raises: ValueError if `rate` is outside [0, 1).
    """
    if not 0 <= rate < 1:
        raise ValueError(f"{rate=} must be at least 0 and below 1")
    if key is None or rate == 0:
        return x
    dtype = jnp.uint8 if (rate * 256).is_integer() else jnp.uint16
    levels = 2 ** jnp.iinfo(dtype).bits
    dropped = min(round(rate * levels), levels - 1)
    keep = jax.random.bits(key, x.shape, dtype) >= dropped
    return jnp.where(keep, x * (levels / (levels - dropped)), 0)
