"""Convolution, ReLU, batch norm, pooling and dropout as one layer."""

import functools
import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.nn.conv import Conv
from jmer.nn.dropout import keep_words, kept_scale
from jmer.nn.lowering import fused, windows
from jmer.nn.lowering.choice import current
from jmer.nn.lowering.fused import Operands, Sums, fits
from jmer.nn.lowering.slots import Geometry
from jmer.nn.norm import BatchNorm
from jmer.nn.pool import avg_pool, max_pool, unslot


class ConvBlock(nnx.Module):
    """Convolution, ReLU, batch norm, max-pool, dropout, mean over windows.

    The same as these layers one after another, which it is in evaluation by an
    accelerator. On a CPU all of it is one pass over a few clips at a time
    for all tasks together: the convolution's output, many times the size of its input,
    is never stored. In training on an accelerator it is a product for each place of a
    max-pool window. Pooling and ReLU commute with the normalisation of a channel, up
    to its sign, so the pooled values alone are normalised.

    `pool` and `average` are windows that do not overlap; one number an axis. `average`
    and `dropout` do nothing unless given. Clips of weight 0 touch no statistic, and
    those after the last one with weight may be left uncomputed.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        *,
        pool: Sequence[int],
        strides: Sequence[int] | None = None,
        padding: Sequence[int] | None = None,
        pool_padding: Sequence[int] | None = None,
        average: Sequence[int] | None = None,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        rank = len(kernel)
        self.pool = tuple(pool)
        self.pool_padding = tuple(pool_padding or (0,) * rank)
        self.average = tuple(average or (1,) * rank)
        self.rate = dropout
        self.dtype = dtype
        self.conv = Conv(
            inputs,
            outputs,
            kernel,
            strides=strides,
            padding=padding,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = BatchNorm(outputs, dtype=dtype)

    def geometry(self, space: Sequence[int]) -> Geometry:
        """The sizes at each stage, for clips of `space`."""
        *window, inputs, _ = self.conv.kernel[...].shape
        return Geometry(
            tuple(space),
            inputs,
            tuple(window),
            self.conv.strides,
            tuple(low for low, _ in self.conv.padding),
            self.pool,
            self.pool_padding,
            self.average,
        )

    @typed
    def __call__(
        self,
        x: Shaped[Array, "b *space c"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b *cells d"]:
        """`x` may be of any real type; without `key` nothing is dropped."""
        geometry = self.geometry(x.shape[1:-1])
        if weight is None:
            weight = jnp.ones(x.shape[0])
        rate = self.rate if train and key is not None else 0.0
        shape = (x.shape[0], math.prod(geometry.cells), self.norm.scale[...].shape[-1])
        means = math.prod(self.average)
        chosen = current()
        pooled = train and windows.fits(geometry)
        style = windows.STYLES.get(chosen) if pooled else None
        keep = keep_words(key, shape, means, rate, turned=style is not None)
        stages = self._one_by_one
        if style is not None:
            stages = functools.partial(self._wide, style)
        elif chosen == "patches" and fits(geometry):
            stages = self._fused
        y = stages(geometry, x, keep, kept_scale(rate), train=train, weight=weight)
        return y.reshape(x.shape[0], *geometry.cells, -1).astype(self.dtype)

    def _one_by_one(
        self,
        geometry: Geometry,
        x: Array,
        keep: Array,
        scale: float,
        *,
        train: bool,
        weight: Array,
    ) -> Array:
        x = nnx.relu(self.conv(x.astype(self.dtype)))
        x = self.norm(x, train=train, weight=weight)
        x = max_pool(x, self.pool, padding=self.pool_padding)
        keep = keep.reshape(keep.shape[0], *geometry.cells, -1)
        kept = [(keep >> i) & 1 for i in range(math.prod(self.average))]
        mask = unslot(kept, geometry.pooled, self.average)
        return avg_pool(jnp.where(mask == 1, x * scale, 0), self.average)

    def _fused(
        self,
        geometry: Geometry,
        x: Array,
        keep: Array,
        scale: float,
        *,
        train: bool,
        weight: Array,
    ) -> Array:
        features = fused.pooled_features(geometry, jnp.dtype(self.dtype))
        sums = features(x, self._operands(keep, weight))
        gain, offset = self._normaliser(geometry, sums, train, weight)
        kept = lax.population_count(keep).astype(jnp.float32)
        share = scale / math.prod(self.average)
        return (sums.extreme * gain + kept * offset) * share

    def _wide(
        self,
        style: windows.Style,
        geometry: Geometry,
        x: Array,
        keep: Array,
        scale: float,
        *,
        train: bool,
        weight: Array,
    ) -> Array:
        """The same with channels first and clips last, until all is small again."""
        features = windows.pooled_features(geometry, jnp.dtype(self.dtype), style)
        flat = keep.reshape(keep.shape[0], -1)
        sums = features(x, self._operands(flat, weight))
        gain, offset = self._normaliser(geometry, sums, train, weight)
        kept = lax.population_count(flat).astype(jnp.float32)
        share = scale / math.prod(self.average)
        y = (sums.extreme * gain[:, None] + kept * offset[:, None]) * share
        return y.astype(self.dtype).reshape(keep.shape).T

    def _operands(self, keep: Array, weight: Array) -> Operands:
        bias = self.conv.bias
        assert bias is not None
        return Operands(
            kernel=self.conv.kernel[...],
            bias=bias[...],
            pivot=self.norm.mean[...],  # sums about it lose no digits
            sign=jnp.where(self.norm.scale[...] >= 0, 1.0, -1.0),
            keep=keep,
            weight=weight,
        )

    def _normaliser(
        self, geometry: Geometry, sums: Sums, train: bool, weight: Array
    ) -> tuple[Array, Array]:
        """What values of each channel are multiplied by, and what is added then."""
        norm = self.norm
        mean, var = norm.mean[...], norm.var[...]
        if train:
            count = jnp.maximum(weight.sum(), 1) * math.prod(geometry.out)
            shift = sums.total / count
            mean = mean + shift
            var = jnp.maximum(sums.square / count - jnp.square(shift), 0)
            norm.track(mean, var, count)
        gain = norm.scale[...] * lax.rsqrt(var + norm.epsilon)
        return gain, norm.bias[...] - mean * gain
