"""Layer normalisation in few passes over tokens."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float
from jmer.nn.lowering.choice import current


class Standard(NamedTuple):
    """Tokens of mean 0 and variance 1, whose scale and bias are left to the matrix that
    reads them: it is far smaller than they are, and so are the sums of its gradients.
    """

    x: Float[Array, "*b d"]
    scale: Float[Array, " d"]
    bias: Float[Array, " d"] | None

    def scaled(self, kernel: Array) -> Array:
        """The kernel [d, e] by which `x` becomes what scaled tokens would."""
        return self.scale[:, None] * kernel

    def shift(self, kernel: Array, bias: Array | None) -> Array | None:
        """What the bias of a layer with that kernel [d, e] becomes."""
        return folded(self.bias, kernel, bias)


def folded(shift: Array | None, kernel: Array, bias: Array | None) -> Array | None:
    """The bias of a layer of that kernel [d, e] that adds `shift` to what it reads."""
    if shift is None:
        return bias
    own = shift @ kernel
    return own if bias is None else own + bias


Tokens = Array | Standard


class LayerNorm(nnx.LayerNorm):
    """Ba et al. 2016, over the last axis, in float32 whatever the input."""

    def __init__(self, dim: int, *, epsilon: float, rngs: nnx.Rngs) -> None:
        super().__init__(
            dim, epsilon=epsilon, dtype=jnp.float32, use_fast_variance=False, rngs=rngs
        )

    def tokens(
        self, x: Array, dtype: DTypeLike, standard: Array | None = None
    ) -> Tokens:
        """`x` [..., d] normalised, for layers that read it in `dtype`; `standard` is
        what `standardised` has made of it, if it has."""
        if standard is None:
            standard = standardised(x, dtype, self.epsilon)
        if standard is None:
            return self(x)
        assert self.scale is not None and self.bias is not None
        return Standard(standard, self.scale[...], self.bias[...])


EPSILON = 1e-6
"""Of transformers, added to the variance."""


def standardised(x: Array, dtype: DTypeLike, epsilon: float = EPSILON) -> Array | None:
    """`x` [..., d] with a mean of 0 and a variance of 1, on an accelerator: what all
    norms have in common. Elsewhere None."""
    if current() not in ("tpu", "gpu"):
        return None
    return _standard(x.astype(jnp.float32), epsilon, jnp.dtype(dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _standard(x: Array, epsilon: float, dtype: DTypeLike) -> Array:
    return _forward(x, epsilon, dtype)[0]


def _forward(
    x: Array, epsilon: float, dtype: DTypeLike
) -> tuple[Array, tuple[Array, Array]]:
    near = x - _mean(x, dtype)
    square = jnp.square(near)
    if current() == "tpu":
        square = square.astype(dtype)  # what that rounds is lost in the mean of many
    rate = lax.rsqrt(_mean(square, dtype) + epsilon)
    made = (near * rate).astype(dtype), rate
    if current() == "tpu":
        # Made once: else all that reads them makes them anew from the wider tokens.
        made = lax.optimization_barrier(made)
    return made[0], made


def _backward(
    epsilon: float, dtype: DTypeLike, residuals: tuple[Array, Array], dy: Array
) -> tuple[Array]:
    standard, rate = residuals
    standard, dy = standard.astype(jnp.float32), dy.astype(jnp.float32)
    along = (dy * standard).mean(-1, keepdims=True)
    return (rate * (dy - dy.mean(-1, keepdims=True) - standard * along),)


_standard.defvjp(_forward, _backward)


def _mean(x: Array, dtype: DTypeLike) -> Array:
    """Of the last axis, which stays, float32.

    A TPU adds up its lanes by a product in a third of the time; for results in bfloat16
    by three passes of that, which are off by some 2^-16 of the mean.
    """
    if current() != "tpu":
        return x.mean(-1, keepdims=True)
    exact = lax.Precision.HIGHEST if dtype == jnp.float32 else lax.Precision.HIGH
    of_each = lax.dot_general(
        x,
        jnp.ones((x.shape[-1], 8), x.dtype),
        (((x.ndim - 1,), (0,)), ((), ())),
        precision=exact if x.dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )
    return of_each[..., :1] / x.shape[-1]
