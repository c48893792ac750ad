"""Frames with pixels of 0 to 255 whose motion since an onset is magnified."""

import jax
import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float, Shaped, typed
from jmer.magnet.network import Magnet

HALF = 127.5  # pixels of 0 to 255 become values of -1 to 1


@typed
def magnified(
    network: Magnet,
    onset: Shaped[Array, "b h w 3"],
    frames: Shaped[Array, "b t h w 3"],
    factors: Float[Array, " k"],
    *,
    size: int | None = None,
) -> Float[Array, "b t k h w 3"]:
    """By the network, which sees them as squares of `size` pixels if one is given."""
    h, w = onset.shape[1:3]
    seen = (h, w) if size is None else (size, size)
    first, others = (resized(x.astype(jnp.float32), seen) for x in (onset, frames))
    with jax.default_matmul_precision("float32"):
        made = network.sweep(first / HALF - 1, others / HALF - 1, factors)
    return jnp.clip(resized((made + 1) * HALF, (h, w)), 0, 255)


@typed
def linear(
    onset: Shaped[Array, "b h w 3"],
    frames: Shaped[Array, "b t h w 3"],
    factors: Float[Array, " k"],
) -> Float[Array, "b t k h w 3"]:
    """The onset frame plus a multiple of each pixel's change since.

    What magnification is to first order (Wu et al. 2012, equation 3), without filters:
    it needs no weights, and overshoots where motion exceeds the width of an edge.
    """
    first = onset.astype(jnp.float32)[:, None, None]
    change = frames.astype(jnp.float32)[:, :, None] - first
    return jnp.clip(first + factors[:, None, None, None] * change, 0, 255)


def resized(x: Array, sides: tuple[int, int], *, antialias: bool = False) -> Array:
    """Images [..., h, w, c] in another size, linear between centres of pixels; with
    `antialias`, of a smaller one, the mean of all pixels near by, as Pillow has it."""
    if x.shape[-3:-1] == sides:
        return x
    shape = (*x.shape[:-3], *sides, x.shape[-1])
    return jax.image.resize(
        x, shape, "linear", antialias=antialias, precision=lax.Precision.HIGHEST
    )
