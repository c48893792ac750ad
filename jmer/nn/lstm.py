"""Recurrent layers."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, typed
from jmer.nn.init import torch_bias


class BiLSTM(nnx.Module):
    """One layer of long short-term memory in each direction of time, side by side, or
    in the forward direction alone (`directions` 1).

    Hochreiter & Schmidhuber 1997 with forget gates; gates (in, forget, cell, out), both
    biases and initial weights as PyTorch's `LSTM`. The first axis of every array is the
    direction. Products follow `dtype`; gates and states are float32.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        directions: int = 2,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dtype, self.directions = dtype, directions
        init = torch_bias(hidden)  # of every array, whatever its shape

        def param(*shape: int) -> nnx.Param:
            shape = (directions, *shape, 4 * hidden)
            return nnx.Param(init(rngs.params(), shape, jnp.float32))

        self.input_kernel = param(inputs)
        self.hidden_kernel = param(hidden)
        self.input_bias = param()
        self.hidden_bias = param()

    @typed
    def __call__(self, x: Float[Array, "b t c"]) -> Float[Array, "b t d"]:
        """Hidden states of each step: forwards in the first half of `d`, backwards
        (what follows the step) in the second, where there is one.
        """
        both = jnp.stack([x, x[:, ::-1]][: self.directions]).astype(self.dtype)
        gates = self._product("dbtc,dcg->tdbg", both, self.input_kernel)
        gates = gates + (self.input_bias[...] + self.hidden_bias[...])[:, None]

        def step(
            state: tuple[jax.Array, jax.Array], gates: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            hidden, cell = state
            gates = gates + self._product("dbh,dhg->dbg", hidden, self.hidden_kernel)
            enter, forget, new, leave = jnp.split(gates, 4, axis=-1)
            cell = nnx.sigmoid(forget) * cell + nnx.sigmoid(enter) * jnp.tanh(new)
            hidden = nnx.sigmoid(leave) * jnp.tanh(cell)
            return (hidden, cell), hidden

        start = jnp.zeros((*gates.shape[1:3], gates.shape[-1] // 4))
        _, states = lax.scan(step, (start, start), gates)
        forwards, *backwards = jnp.moveaxis(states, 0, 2)  # [b, t, h] each
        return jnp.concatenate([forwards, *(x[:, ::-1] for x in backwards)], -1)

    def _product(self, axes: str, x: Array, kernel: nnx.Param) -> jax.Array:
        # Not `preferred_element_type`: XLA:CPU has no such product inside a loop.
        y = jnp.einsum(axes, x.astype(self.dtype), kernel[...].astype(self.dtype))
        return y.astype(jnp.float32)
