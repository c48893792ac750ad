"""Gated recurrent units, of vectors and of images; they see the past only."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.conv import Conv
from jmer.nn.init import torch_bias


class GRU(nnx.Module):
    """One layer of gated recurrent units, from the first step to the last.

    Cho et al. 2014; gates (reset, update, new), both biases, the reset of the product
    with the new state rather than of the state, and initial weights as PyTorch's `GRU`.
    Products follow `dtype`; gates and states are float32.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype = dtype
        init = torch_bias(hidden)  # of every array, whatever its shape

        def param(*shape: int) -> nnx.Param:
            return nnx.Param(init(rngs.params(), (*shape, 3 * hidden), jnp.float32))

        self.input_kernel = param(inputs)
        self.hidden_kernel = param(hidden)
        self.input_bias = param()
        self.hidden_bias = param()

    @typed
    def __call__(self, x: Float[Array, "b t c"]) -> Float[Array, "b t d"]:
        """Hidden states after each step, from a state of zeros."""
        seen = self._product(x.swapaxes(0, 1), self.input_kernel, self.input_bias)

        def step(state: jax.Array, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
            own = self._product(state, self.hidden_kernel, self.hidden_bias)
            (*gates, new), (*own_gates, own_new) = (
                jnp.split(part, 3, axis=-1) for part in (seen, own)
            )
            reset, update = (
                nnx.sigmoid(a + b) for a, b in zip(gates, own_gates, strict=True)
            )
            state = (1 - update) * jnp.tanh(new + reset * own_new) + update * state
            return state, state

        start = jnp.zeros((*seen.shape[1:-1], seen.shape[-1] // 3))
        _, states = lax.scan(step, start, seen)
        return states.swapaxes(0, 1)

    def _product(self, x: Array, kernel: nnx.Param, bias: nnx.Param) -> jax.Array:
        # Not `preferred_element_type`: XLA:CPU has no such product inside a loop.
        y = jnp.matmul(x.astype(self.dtype), kernel[...].astype(self.dtype))
        return y.astype(jnp.float32) + bias[...]


class ConvGRU(nnx.Module):
    """The same with convolutions for products, so that states are images.

    Ballas et al. 2016, equations 13 to 16, as Tokmakov et al. 2017 use it for video:
    one bias a gate, and the reset applies to the state. `kernel` is odd; images keep
    their size.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        kernel: int = 7,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {
            "kernel": (kernel, kernel),
            "padding": (kernel // 2, kernel // 2),
            "dtype": dtype,
            "rngs": rngs,
        }
        self.hidden = hidden
        self.input = Conv(inputs, 3 * hidden, **same)
        self.gates = Conv(hidden, 2 * hidden, bias=False, **same)
        self.new = Conv(hidden, hidden, bias=False, **same)

    @typed
    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w d"]:
        """Hidden states after each step, from a state of zeros."""
        b, t, *space = x.shape[:-1]
        seen = self.input(x.reshape(b * t, *space, -1)).astype(jnp.float32)
        steps = jnp.swapaxes(seen.reshape(b, t, *space, -1), 0, 1)

        def step(state: jax.Array, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
            gates, new = jnp.split(seen, [2 * self.hidden], axis=-1)
            gates = nnx.sigmoid(gates + self.gates(state).astype(jnp.float32))
            reset, update = jnp.split(gates, 2, axis=-1)
            new = new + self.new(reset * state).astype(jnp.float32)
            state = (1 - update) * jnp.tanh(new) + update * state
            return state, state

        start = jnp.zeros((b, *space, self.hidden))
        _, states = lax.scan(step, start, steps)
        return states.swapaxes(0, 1)
