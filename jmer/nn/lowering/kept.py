"""Values that XLA's compiler for CPUs writes to memory once."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array


def kept(x: Array) -> Array:
    """`x` [*b, c] as it is.

    XLA joins what is cheap into every loop that reads it, and computes sums of shifted
    slices again in each, an element at a time. A product ends that: this is one with
    the identity, exact for finite values, on a CPU alone.
    """
    chosen: Any = lax.platform_dependent(x, cpu=_by_identity, default=lambda x: x)
    return chosen


def _by_identity(x: Array) -> Array:
    return x @ jnp.eye(x.shape[-1], dtype=x.dtype)
