"""GELU that keeps for the gradient one array, and nothing else."""

import functools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jmer.arrays import Array, PRNGKeyArray
from jmer.nn.dropout import dropout, kept, kept_scale
from jmer.nn.lowering.choice import current

ROOT = math.sqrt(0.5)


def gelu(x: Array) -> Array:
    """x times the normal distribution up to x (Hendrycks & Gimpel 2016, section 2)."""
    if _is_quick(x):
        return _quick(x, None, 1.0)
    # The gradient of narrow numbers, in their own type, is off by a fifth at its root.
    wide = current() == "patches" and x.dtype.itemsize > 2
    return nnx.gelu(x, approximate=False) if wide else _gelu(x)


def dropped_gelu(
    x: Array, rate: float, key: PRNGKeyArray | None, count: int | None = None
) -> Array:
    """`dropout(gelu(x), rate, key, count)`, on an accelerator in one pass."""
    keep = kept(x.shape, rate, key, count) if _is_quick(x) else None
    if keep is None:
        return dropout(gelu(x), rate, key, count)
    return _quick(x, keep, kept_scale(rate))


def _is_quick(x: Array) -> bool:
    """Whether rounding hides an error of 2e-6, and arithmetic is what one waits for: an
    H200 took two and three times as long for erfc as for the memory it passed over.
    """
    return current() in ("tpu", "gpu") and x.dtype == jnp.bfloat16


@jax.custom_vjp
def _gelu(x: Array) -> Array:
    # In float32: of what erfc has in bfloat16 XLA makes an array of its own on a GPU.
    wide = x.astype(jnp.float32)
    return (wide * _below_by_erfc(wide, ROOT)).astype(x.dtype)


def _gradient(x: Array, dy: Array) -> tuple[Array]:
    # With a number that XLA does not know: where the value and its gradient had the
    # same product, it would be kept from one to the other, in float32.
    wide, root = x.astype(jnp.float32), lax.optimization_barrier(jnp.float32(ROOT))
    slope = _slope(wide, _below_by_erfc(wide, root))
    return ((slope * dy.astype(jnp.float32)).astype(x.dtype),)


def _below_by_erfc(x: Array, root: Array | float) -> Array:
    """The normal distribution up to `x`, float32."""
    return 0.5 * lax.erfc(-x * root)


_gelu.defvjp(lambda x: (_gelu(x), x), _gradient)


QUICK = (1.12835817, 1.02932921e-1, -4.96810423e-4, -4.15144138e-4, 3.2244875e-5)
"""erf(z) = tanh(z p(z²)) within 3e-6, by least squares of ever larger weights where it
is farthest off; beyond z = 3.2 both are 1. A TPU has tanh, and no erf; a GPU has fewer
instructions to do."""


def _below(x: Array) -> Array:
    """The normal distribution up to `x`, float32."""
    z = x * ROOT
    square = z * z
    slope = jnp.float32(QUICK[-1])
    for factor in QUICK[-2::-1]:
        slope = slope * square + factor
    return 0.5 + 0.5 * jnp.tanh(z * slope)


def _slope(x: Array, below: Array) -> Array:
    density = jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return below + x * density


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _quick(x: Array, keep: Array | None, scale: float) -> Array:
    wide = x.astype(jnp.float32)
    return _kept(wide * _below(wide), keep, scale).astype(x.dtype)


def _forward(x: Array, keep: Array | None, scale: float) -> tuple[Array, Array]:
    """The value, and what its gradient is multiplied by."""
    wide = x.astype(jnp.float32)
    below = _below(wide)
    y, slope = (
        _kept(made, keep, scale).astype(x.dtype)
        for made in (wide * below, _slope(wide, below))
    )
    # Made once, on the way there. Else all that reads them makes them anew.
    return lax.optimization_barrier((y, slope))


def _backward(_: float, slope: Array, dy: Array) -> tuple[Array, None]:
    return slope * dy, None


def _kept(x: Array, keep: Array | None, scale: float) -> Array:
    return x if keep is None else jnp.where(keep, x * scale, 0)


_quick.defvjp(_forward, _backward)
