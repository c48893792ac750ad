"""Linear layer whose lowering suits the device that runs it."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.init import torch_bias, torch_kernel
from jmer.nn.lowering.choice import current
from jmer.nn.lowering.transposed import transposed_product


class Linear(nnx.Module):
    """Product with a matrix, plus a bias; weights start as PyTorch's do unless the
    initialisers say otherwise.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: bool = True,
        kernel_init: nnx.Initializer = torch_kernel,
        bias_init: nnx.Initializer | None = None,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype = dtype
        shape = inputs, outputs
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        bias_init = bias_init or torch_bias(inputs)
        self.bias = nnx.data(
            nnx.Param(bias_init(rngs.params(), (outputs,), jnp.float32))
            if bias
            else None
        )

    @typed
    def __call__(self, x: Float[Array, "*b c"]) -> Float[Array, "*b d"]:
        """`x` times the kernel, plus the bias, in the layer's dtype."""
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        if self.bias is None:
            return x @ kernel
        if current() == "tpu":
            return _with_bias(x @ kernel, self.bias[...])
        bias = self.bias[...].astype(self.dtype)
        if current() != "patches":
            return x @ kernel + bias
        rows = _affine(x.reshape(-1, x.shape[-1]), kernel, bias)
        return rows.reshape(*x.shape[:-1], -1)


@jax.custom_vjp
def _with_bias(y: Array, bias: Array) -> Array:
    """`y` [*b, d] plus `bias` [d], in float32 as is its gradient."""
    return y + bias.astype(y.dtype)


def _bias_gradient(_: None, dy: Array) -> tuple[Array, Array]:
    # A product: a sum over rows takes a TPU ten times as long. It is one of eight equal
    # rows, since of one alone the compiler makes that sum.
    places = tuple(range(dy.ndim - 1))
    dbias = lax.dot_general(
        jnp.ones((*dy.shape[:-1], 8), dy.dtype),
        dy,
        ((places, places), ((), ())),
        precision=None if dy.dtype == jnp.bfloat16 else lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )[0]
    return dy, dbias


_with_bias.defvjp(lambda y, bias: (_with_bias(y, bias), None), _bias_gradient)


@jax.custom_vjp
def _affine(x: Array, kernel: Array, bias: Array) -> Array:
    """`x` [n, c] times `kernel` [c, d], plus `bias` [d]."""
    return x @ kernel + bias


def _forward(x: Array, kernel: Array, bias: Array) -> tuple[Array, tuple[Array, Array]]:
    return _affine(x, kernel, bias), (x, kernel)


def _backward(residuals: tuple[Array, Array], dy: Array) -> tuple[Array, Array, Array]:
    # The bias as one more row of the kernel: XLA's sum over rows is slow on a CPU.
    x, kernel = residuals
    ones = jnp.ones((x.shape[0], 1), x.dtype)
    both = transposed_product(jnp.concatenate([x, ones], axis=1), dy)
    return dy @ kernel.T, both[:-1], both[-1]


_affine.defvjp(_forward, _backward)
