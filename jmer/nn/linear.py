"""Linear layer whose lowering suits the device that runs it."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.init import torch_bias, torch_kernel
from jmer.nn.layer_norm import Standard, Tokens, folded
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

    @property
    def own_bias(self) -> Float[Array, " d"] | None:
        """The bias as an array, if there is one."""
        return None if self.bias is None else self.bias[...]

    @typed
    def __call__(self, x: Float[Array, "*b c"]) -> Float[Array, "*b d"]:
        """`x` times the kernel, plus the bias, in the layer's dtype."""
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        bias = self.own_bias
        if bias is None or current() != "patches":
            return with_bias(x @ kernel, bias)
        flat = x.reshape(-1, x.shape[-1])
        rows = _affine(flat, kernel, bias.astype(self.dtype))
        return rows.reshape(*x.shape[:-1], kernel.shape[1])


def linear(tokens: Tokens, layer: Linear) -> Array:
    """What a layer makes of `tokens` [*b, c]: [*b, d]."""
    if not isinstance(tokens, Standard):
        return layer(tokens)
    kernel, dtype = layer.kernel[...], layer.dtype
    y = tokens.x.astype(dtype) @ tokens.scaled(kernel).astype(dtype)
    return with_bias(y, tokens.shift(kernel, layer.own_bias))


def shifted(x: Array, shift: Array | None, layer: Linear) -> Array:
    """What a layer makes of `x` [*b, c] after `shift` [c] is added to it: [*b, d]."""
    if shift is None:
        return layer(x)
    kernel = layer.kernel[...]
    y = x.astype(layer.dtype) @ kernel.astype(layer.dtype)
    return with_bias(y, folded(shift, kernel, layer.own_bias))


def products(tokens: Standard, *layers: Linear) -> list[Array]:
    """`tokens` [*b, c] times the matrix of each of several layers of a type, without
    biases: [*b, d]."""
    dtype = layers[0].dtype
    x = tokens.x.astype(dtype)
    kernels = [tokens.scaled(layer.kernel[...]).astype(dtype) for layer in layers]
    if current() == "gpu":
        return _apart(x, kernels)
    return [x @ kernel for kernel in kernels]


@jax.custom_vjp
def _apart(x: Array, kernels: list[Array]) -> list[Array]:
    """`x` [*b, c] times each kernel [c, d]: arrays of their own, as cuDNN needs them.
    Left to itself, XLA would make one product of all, and cut it up in another pass."""
    copies = lax.optimization_barrier((x,) * len(kernels))
    return [copy @ kernel for copy, kernel in zip(copies, kernels, strict=True)]


def _apart_backward(
    residuals: tuple[Array, list[Array]], dys: list[Array]
) -> tuple[Array, list[Array]]:
    x, kernels = residuals
    rows = x.reshape(-1, x.shape[-1])
    parts = [dy @ kernel.T for dy, kernel in zip(dys, kernels, strict=True)]
    flat = [dy.reshape(-1, dy.shape[-1]) for dy in dys]
    return sum(parts[1:], parts[0]), [rows.T @ dy for dy in flat]


_apart.defvjp(lambda x, kernels: (_apart(x, kernels), (x, kernels)), _apart_backward)


def with_bias(y: Array, bias: Array | None) -> Array:
    """`y` [*b, d] plus `bias` [d], if there is one."""
    if bias is None:
        return y
    return _with_bias(y, bias) if current() == "tpu" else y + bias.astype(y.dtype)


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
