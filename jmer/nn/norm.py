"""Batch normalisation that can be told which clips of a batch count."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.lowering.choice import current


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
    ) -> None:
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
        apart: int = 1,
    ) -> Float[Array, "b *space c"]:
        """In training by the clips of weight 1, else by the running statistics.

        The batch may have `apart` images of each clip, which lie together: the first
        images of all clips are then normalised by themselves, and so are the second
        ones, as by as many calls one after another; running statistics move as often.
        """
        return self.folded(x, train=train, weight=weight, apart=apart)

    def folded(
        self,
        x: Array,
        *,
        train: bool = False,
        weight: Array | None = None,
        apart: int = 1,
    ) -> Array:
        """The same, also where pixels share channels (`lowering/folded.py`)."""
        x = x.astype(jnp.float32)
        scale, bias = self.scale[...], self.bias[...]
        if not train:
            gain = scale * lax.rsqrt(self.var[...] + self.epsilon)
            centred = x - _spread(self.mean[...], x)
            return (centred * _spread(gain, x) + _spread(bias, x)).astype(self.dtype)
        if weight is None:
            weight = jnp.ones(x.shape[0])
        # What sums of squares are about, where they are made in one pass.
        about = self.mean[...] if current() in ("tpu", "gpu") else None
        if apart == 1:
            y, mean, var, count = normalise(x, scale, bias, weight, self.epsilon, about)
            self.track(mean, var, count)
            return y.astype(self.dtype)
        y, means, variances, count = _normalise_apart(
            x.reshape(-1, apart, *x.shape[1:]),
            scale,
            bias,
            weight.reshape(-1, apart),
            self.epsilon,
            about,
        )
        self.track(self._after(means), self._after(variances), count[0], apart)
        return y.reshape(x.shape).astype(self.dtype)

    def _after(self, values: Float[Array, "m c"]) -> Float[Array, " c"]:
        """Where an exponential average tends to that moves to each value in turn: the
        later ones weigh most. Their weights have the sum 1."""
        left = (1 - self.momentum) ** np.arange(len(values) - 1, -1, -1)
        return jnp.tensordot(
            np.float32(left / left.sum()), values, 1, precision="highest"
        )

    def track(self, mean: Array, var: Array, count: Array, times: int = 1) -> None:
        """Moves the running statistics to those of a batch of `count` values, or by as
        much as so many batches do."""
        share = self.momentum if times == 1 else 1 - (1 - self.momentum) ** times
        self._track(self.mean, mean, share)
        self._track(self.var, var * count / jnp.maximum(count - 1, 1), share)

    def _track(self, average: nnx.BatchStat, value: Array, share: float) -> None:
        value = lax.stop_gradient(value)
        average[...] = average[...] + share * (value - average[...])


class Normalised(NamedTuple):
    """Values of a batch, and what they were normalised by."""

    y: Float[Array, "b *space c"]
    mean: Float[Array, " c"]
    var: Float[Array, " c"]
    size: Float[Array, ""]
    """Values of a channel that count."""


class _Residuals(NamedTuple):
    """What the gradient needs of the way there."""

    x: Float[Array, "b *space c"]
    scale: Float[Array, " c"]
    weight: Float[Array, " b"]
    mean: Float[Array, " c"]
    rate: Float[Array, " c"]
    """1 over the standard deviation."""
    size: Float[Array, ""]


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def normalise(
    x: Array,
    scale: Array,
    bias: Array,
    weight: Array,
    epsilon: float,
    about: Array | None = None,
) -> Normalised:
    """Normalised `x` [b, *space, c], and the mean, biased variance and count used.
    Of folded `x` (`lowering/folded.py`), `scale` has the channels of one clip.

    Given values `about` which to sum the channels and their squares, it does so in one
    pass over `x`, and loses digits where a channel's mean is far from them beside its
    spread; else in two.

    The gradient is the closed form, in two passes over `x`, and flows through the
    first result only. The clips that `weight` [b] leaves out are normalised too, by
    statistics that they have no part in.
    """
    return _forward(x, scale, bias, weight, epsilon, about)[0]


def _normalise_apart(
    x: Array,
    scale: Array,
    bias: Array,
    weight: Array,
    epsilon: float,
    about: Array | None,
) -> Normalised:
    """`normalise` of each x[:, i] by itself, with its weight[:, i]; statistics have a
    row each."""

    def one(x: Array, weight: Array) -> tuple[Array, ...]:
        return tuple(normalise(x, scale, bias, weight, epsilon, about))

    return Normalised(*jax.vmap(one, in_axes=1, out_axes=(1, 0, 0, 0))(x, weight))


def _forward(
    x: Array,
    scale: Array,
    bias: Array,
    weight: Array,
    epsilon: float,
    about: Array | None,
) -> tuple[Normalised, _Residuals]:
    counted = _counted(x, weight)
    channels = len(scale)
    count = jnp.maximum(weight.sum(), 1) * (x[0].size // channels)
    # `where`, not a product: an infinite value of a clip that does not count stays out
    # of the statistics. (Not of the gradient; data sets with such values are refused.)
    if about is None:
        mean = _total(jnp.where(counted, x, 0), channels) / count
        away = jnp.where(counted, jnp.square(x - _spread(mean, x)), 0)
        var = _total(away, channels) / count
    else:
        away = jnp.where(counted, x - _spread(about, x), 0)
        shift = _total(away, channels) / count
        square = _total(away * away, channels) / count
        var = jnp.maximum(square - shift * shift, 0)
        mean = about + shift
    rate = lax.rsqrt(var + epsilon)
    y = (x - _spread(mean, x)) * _spread(rate * scale, x) + _spread(bias, x)
    residuals = _Residuals(x, scale, weight, mean, rate, count)
    return Normalised(y, mean, var, count), residuals


def _backward(
    epsilon: float, residuals: _Residuals, gradients: Normalised
) -> tuple[Array, Array, Array, Array, None]:
    x, scale, weight, mean, rate, count = residuals
    dy = gradients.y
    standard = (x - _spread(mean, x)) * _spread(rate, x)
    dbias = _total(dy, len(scale))
    dscale = _total(dy * standard, len(scale))
    through = (_spread(dbias, x) + standard * _spread(dscale, x)) / count
    dx = dy - jnp.where(_counted(x, weight), through, 0)
    dx = _spread(scale * rate, x) * dx
    return dx, dscale, dbias, jnp.zeros_like(weight), None


normalise.defvjp(_forward, _backward)


def _counted(x: Array, weight: Array) -> Array:
    return weight.reshape(-1, *(1,) * (x.ndim - 1)) > 0


def _spread(value: Array, x: Array) -> Array:
    """[c] for each of the pixels that share the channels of `x`."""
    n = x.shape[-1] // len(value)
    return jnp.tile(value, n) if n > 1 else value


def _total(x: Array, channels: int) -> Array:
    """The sum of each channel.

    A sum, not a product with ones: that adds up one by one on a CPU, where 200,000
    values cost four digits of the variance.
    """
    total = x.sum(tuple(range(x.ndim - 1)))
    return total if len(total) == channels else total.reshape(-1, channels).sum(0)
