"""GELU that keeps its input for the gradient, and nothing else."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from jmer.arrays import Array
from jmer.nn.lowering.choice import current


def gelu(x: Array) -> Array:
    """x times the normal distribution up to x (Hendrycks & Gimpel 2016, section 2)."""
    return nnx.gelu(x, approximate=False) if current() == "patches" else _gelu(x)


@jax.custom_vjp
def _gelu(x: Array) -> Array:
    value: Array = nnx.gelu(x, approximate=False)
    return value


def _gradient(x: Array, dy: Array) -> tuple[Array]:
    wide = x.astype(jnp.float32)
    below = 0.5 * jax.lax.erfc(-wide * math.sqrt(0.5))
    density = jnp.exp(-0.5 * wide * wide) / math.sqrt(2 * math.pi)
    return (((below + wide * density) * dy.astype(jnp.float32)).astype(x.dtype),)


_gelu.defvjp(lambda x: (_gelu(x), x), _gradient)
