"""Initialisers of the frameworks that the published networks were written in."""

from collections.abc import Sequence

import jax
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import PRNGKeyArray

torch_kernel = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for convolutions and linear layers: U(-1/sqrt(n), 1/sqrt(n)) for
n inputs (Kaiming uniform with a = sqrt(5))."""

kaiming = jax.nn.initializers.variance_scaling(2, "fan_out", "normal")
"""He et al. 2015, as torchvision starts its residual networks."""

glorot = jax.nn.initializers.variance_scaling(1, "fan_avg", "uniform")
"""Glorot & Bengio 2010, eq. 16: U(-a, a) with a² = 6 / (inputs + outputs), where each
element of a convolution's kernel counts as an input and an output."""

narrow_normal = jax.nn.initializers.normal(0.02)
"""timm's `trunc_normal_(std=0.02)`, with which vision transformers start: it cuts at -2
and 2, a hundred deviations out."""


def glorot_channels(
    key: PRNGKeyArray, shape: Sequence[int], dtype: DTypeLike = float
) -> jax.Array:
    """The same with a² = 6 / (channels in + channels out), whatever the window."""
    bound = (6 / (shape[-2] + shape[-1])) ** 0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def torch_bias(fan_in: int) -> nnx.Initializer:
    """PyTorch's default bias, U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    bound = fan_in**-0.5

    def init(
        key: PRNGKeyArray, shape: Sequence[int], dtype: DTypeLike = float
    ) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
