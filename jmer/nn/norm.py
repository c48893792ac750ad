"""Batch normalisation that can be told which clips of a batch count."""

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed


class BatchNorm(nnx.Module):
    """Normalises each channel over the batch and space. Ioffe & Szegedy 2015.

    A clip of weight 0 contributes nothing to the statistics, so that a held-out
    subject in a shared batch cannot reach its own fold. Running statistics follow
    PyTorch: exponential average with `momentum` the share of the new value, of the
    mean and the unbiased variance. Statistics are float32 whatever the input.
    """

    def __init__(
        self,
        channels: int,
        *,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        dtype: DTypeLike = jnp.float32,
    ):
        self.momentum = momentum
        self.epsilon = epsilon
        self.dtype = dtype
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    @typed
    def __call__(
        self,
        x: Float[Array, "b *space c"],
        *,
        train: bool = False,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b *space c"]:
        x = x.astype(jnp.float32)
        if train:
            mean, var, count = _moments(x, weight)
            unbiased = var * count / jnp.maximum(count - 1, 1)
            self.mean[...] += self.momentum * (lax.stop_gradient(mean) - self.mean[...])
            self.var[...] += self.momentum * (
                lax.stop_gradient(unbiased) - self.var[...]
            )
        else:
            mean, var = self.mean[...], self.var[...]
        gain = self.scale[...] * lax.rsqrt(var + self.epsilon)
        return ((x - mean) * gain + self.bias[...]).astype(self.dtype)


def _moments(x, weight):
    """Mean and biased variance per channel over the counted clips, and their number."""
    axes = tuple(range(x.ndim - 1))
    if weight is None:
        count = jnp.asarray(x.size // x.shape[-1], jnp.float32)
        mean = x.mean(axes)
        return mean, jnp.square(x - mean).mean(axes), count
    weight = weight.reshape(-1, *(1,) * (x.ndim - 1))
    count = jnp.maximum(weight.sum(), 1) * (x[0].size // x.shape[-1])
    # `where`, not a product: an infinite value of a clip that does not count stays out.
    counted = weight > 0
    mean = jnp.where(counted, x, 0).sum(axes) / count
    var = jnp.where(counted, jnp.square(x - mean), 0).sum(axes) / count
    return mean, var, count
