"""Layers of transformers: attention over tokens and what stands around it."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys
from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn import remat
from jmer.nn.attention import attention, attention_weights
from jmer.nn.blockwise import product
from jmer.nn.drop_path import drop_path
from jmer.nn.dropout import dropout
from jmer.nn.gelu import dropped_gelu
from jmer.nn.init import narrow_normal
from jmer.nn.layer_norm import LayerNorm
from jmer.nn.linear import Linear
from jmer.nn.lowering.choice import current

ZEROS = nnx.initializers.zeros_init()


def layer_norm(dim: int, *, epsilon: float = 1e-6, rngs: nnx.Rngs) -> LayerNorm:
    """Layer normalisation (Ba et al. 2016) in float32, whatever the input."""
    return LayerNorm(dim, epsilon=epsilon, rngs=rngs)


def narrow_linear(
    inputs: int, outputs: int, *, bias: bool = True, dtype: DTypeLike, rngs: nnx.Rngs
) -> Linear:
    """A linear layer that starts with small weights and a bias of zero."""
    return Linear(
        inputs,
        outputs,
        bias=bias,
        kernel_init=narrow_normal,
        bias_init=ZEROS,
        dtype=dtype,
        rngs=rngs,
    )


class Attention(nnx.Module):
    """Multi-head attention of some tokens over others. Vaswani et al. 2017, sec. 3.2.

    A bias of the keys adds the same to all scores of a query, which the softmax takes
    away again: most networks leave it out.

    Raises: ValueError if `heads` does not divide `dim`.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        key_bias: bool = False,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if dim % heads:
            raise ValueError(f"{heads=} must divide {dim=}")
        self.heads = heads
        self.dropout = dropout
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.query = narrow_linear(dim, dim, **same)
        self.key = narrow_linear(dim, dim, bias=key_bias, **same)
        self.value = narrow_linear(dim, dim, **same)
        self.out = narrow_linear(dim, dim, **same)

    @typed
    def __call__(
        self,
        x: Float[Array, "b t d"],
        tokens: Float[Array, "b s d"],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "b t d"]:
        """What each of `x` gathers from `tokens`; with a key, some of it dropped."""
        if x.shape[1] == 1 and current() != "patches":
            seen = self._seen_by_one(x, tokens)
        else:
            seen = attention(*(self._heads(n, v) for n, v in self._roles(x, tokens)))
        return dropout(self.out(seen.reshape(x.shape)), self.dropout, key)

    def _seen_by_one(self, x: Array, tokens: Array) -> Array:
        """What one of `x` [b, 1, d] gathers from `tokens` [b, s, d], without keys and
        values of all of them: the query goes through the matrix of the keys instead,
        and what it takes of the tokens through that of the values.

        A bias of the keys would change nothing.
        """
        dtype, dim = self.query.dtype, x.shape[-1]
        size = dim // self.heads
        heads = jnp.arange(dim) // size == jnp.arange(self.heads)[:, None]  # h d
        tokens = tokens.astype(dtype)
        to_keys, to_values = (
            layer.kernel[...].astype(dtype) for layer in (self.key, self.value)
        )
        query = jnp.where(heads, self.query(x), 0)
        asked = product("bhd,cd->bhc", query, to_keys).astype(dtype)
        score = product("bhc,bsc->bhs", asked, tokens)
        share = jax.nn.softmax(score * size**-0.5).astype(dtype)
        taken = product("bhs,bsc->bhc", share, tokens).astype(dtype)
        seen = jnp.where(heads, product("bhc,cd->bhd", taken, to_values), 0)
        seen = seen.sum(1, keepdims=True)
        if self.value.bias is not None:  # shares have a sum of 1
            seen = seen + self.value.bias[...]
        return seen.astype(dtype)

    @typed
    def weights(
        self, x: Float[Array, "b t d"], tokens: Float[Array, "b s d"]
    ) -> Float[Array, "b h t s"]:
        """How much each of `x` takes from each of `tokens`: shares that sum to 1."""
        return attention_weights(
            self._heads(self.query, x), self._heads(self.key, tokens)
        )

    def _roles(self, x: Array, tokens: Array) -> tuple[tuple[Linear, Array], ...]:
        return (self.query, x), (self.key, tokens), (self.value, tokens)

    def _heads(self, layer: Linear, x: Array) -> Array:
        return layer(x).reshape(*x.shape[:2], self.heads, -1)


class Perceptron(nnx.Module):
    """Linear, GELU, linear, with dropout after the GELU and after the last."""

    def __init__(
        self,
        dim: int,
        hidden: int,
        *,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dropout = dropout
        self.wide = narrow_linear(dim, hidden, dtype=dtype, rngs=rngs)
        self.narrow = narrow_linear(hidden, dim, dtype=dtype, rngs=rngs)

    @typed
    def __call__(
        self, x: Float[Array, "b t d"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "b t d"]:
        """Each token by itself; with a key, dropout."""
        inner = keys.within(key, "hidden")
        hidden = dropped_gelu(self.wide(x), self.dropout, inner)
        return dropout(self.narrow(hidden), self.dropout, keys.within(key, "out"))


class TransformerBlock(nnx.Module):
    """Self-attention, then a perceptron, each on normalised tokens and added to them
    (Xiong et al. 2020, figure 1b), unless stochastic depth leaves it out of a clip.

    `hidden` is the width of the perceptron; 0 means none.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        hidden: int,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.drop_path = drop_path
        same: dict[str, Any] = {"dropout": dropout, "dtype": dtype, "rngs": rngs}
        self.norm1 = layer_norm(dim, rngs=rngs)
        self.attention = Attention(dim, heads, **same)
        self.norm2 = nnx.data(layer_norm(dim, rngs=rngs) if hidden else None)
        self.mlp = nnx.data(Perceptron(dim, hidden, **same) if hidden else None)

    @typed
    def __call__(
        self,
        x: Float[Array, "b t d"],
        *,
        key: PRNGKeyArray | None = None,
        kept: Float[Array, "2 b"] | None = None,
    ) -> Float[Array, "b t d"]:
        """Float32 tokens, as they came in; with a key, dropout and stochastic depth.

        `kept` is what `depth` said, where the layer cannot know it by itself.
        """
        if kept is None:
            kept = self.depth(len(x), key)
        return remat.layer(self, TransformerBlock._tokens, x, key, kept)

    def depth(self, clips: int, key: PRNGKeyArray | None) -> Float[Array, "2 b"]:
        """What the two branches of each clip are multiplied by: 0 where stochastic
        depth leaves them out."""
        ones = jnp.ones(clips)
        parts = [
            drop_path(ones, self.drop_path, keys.within(key, "depth", i))
            for i in (1, 2)
        ]
        return jnp.stack(parts)

    def _tokens(self, x: Array, key: PRNGKeyArray | None, kept: Array) -> Array:
        first, second = kept[..., None, None]
        part = self.norm1(x)
        part = self.attention(part, part, key=keys.within(key, "attention"))
        x = x + part * first.astype(part.dtype)
        if self.norm2 is None or self.mlp is None:
            return x
        part = self.mlp(self.norm2(x), key=keys.within(key, "mlp"))
        return x + part * second.astype(part.dtype)

    @typed
    def weights_of_first(self, x: Float[Array, "b t d"]) -> Float[Array, "b h t"]:
        """How much the first token, usually that of the class, takes from each."""
        x = self.norm1(x)
        return self.attention.weights(x[:, :1], x)[:, :, 0]
