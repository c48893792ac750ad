"""Layers of transformers: attention over tokens and what stands around it."""

import functools
import math
from typing import Any

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
from jmer.nn.guest import gathered
from jmer.nn.init import narrow_normal
from jmer.nn.layer_norm import EPSILON, LayerNorm, Standard
from jmer.nn.linear import Linear, linear, products, shifted, with_bias
from jmer.nn.tokens import first_of, in_rows, meeting, settled

ZEROS = nnx.initializers.zeros_init()


def layer_norm(dim: int, *, epsilon: float = EPSILON, rngs: nnx.Rngs) -> LayerNorm:
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
        self.dtype = dtype
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
        roles = self.query(x), self.key(tokens), self.value(tokens)
        return self._out(attention(*map(self._heads, roles)), key)

    @typed
    def over_itself(
        self,
        tokens: Float[Array, "b t d"] | Standard,
        *,
        key: PRNGKeyArray | None,
        count: int | None = None,
    ) -> Float[Array, "b t d"]:
        """What each of `tokens` gathers from the first `count`, or all; with a key,
        some of it dropped."""
        if not isinstance(tokens, Standard):
            real = tokens[:, : first_of(tokens.shape[1], count)]
            plain = self.query(tokens), self.key(real), self.value(real)
            return self._out(attention(*map(self._heads, plain)), key, count=count)
        query, *others = products(tokens, self.query, self.key, self.value)
        shift = tokens.shift(self.query.kernel[...], self.query.own_bias)
        # A bias of the keys would make no difference.
        roles = with_bias(query, shift), *others
        seen = attention(*map(self._heads, roles), count=count)
        return self._out(seen, key, self._shared(tokens), count)

    @typed
    def of_guest(
        self,
        guest: Float[Array, "b 1 d"],
        tokens: Standard,
        *,
        key: PRNGKeyArray | None,
        count: int | None = None,
    ) -> Float[Array, "b 1 d"]:
        """What a guest gathers from itself, and from all of `tokens` (or the first
        `count`) but the first, in whose place it is; like them it is still to be
        scaled.

        Without keys and values of all of them: the query goes through the matrix of the
        keys instead, and what it takes of the tokens through that of the values. A bias
        of the keys would change nothing.
        """
        dtype, dim = self.dtype, guest.shape[-1]
        size = dim // self.heads
        heads = jnp.arange(dim) // size == jnp.arange(self.heads)[:, None]  # h d
        to_keys, to_values = (
            tokens.scaled(layer.kernel[...]).astype(dtype)
            for layer in (self.key, self.value)
        )
        query = linear(tokens._replace(x=guest), self.query)
        asked = product("bhd,cd->bhc", jnp.where(heads, query, 0), to_keys)
        asked = asked.astype(dtype)
        count = first_of(tokens.x.shape[1], count)
        taken = gathered(asked, tokens.x, guest, size**-0.5, count)
        seen = product("bhc,cd->bhd", taken.astype(dtype), to_values)
        seen = jnp.where(heads, seen, 0).sum(1, keepdims=True)
        return self._out(seen.astype(dtype), key, self._shared(tokens))

    @typed
    def weights(
        self, x: Float[Array, "b t d"], tokens: Float[Array, "b s d"]
    ) -> Float[Array, "b h t s"]:
        """How much each of `x` takes from each of `tokens`: shares that sum to 1."""
        return attention_weights(
            self._heads(self.query(x)), self._heads(self.key(tokens))
        )

    def _heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:2], self.heads, x.shape[-1] // self.heads)

    def _shared(self, tokens: Standard) -> Array | None:
        """What all values have in common: as shares have a sum of 1, the result has it,
        too."""
        return tokens.shift(self.value.kernel[...], self.value.own_bias)

    def _out(
        self,
        seen: Array,
        key: PRNGKeyArray | None,
        shift: Array | None = None,
        count: int | None = None,
    ) -> Array:
        merged = seen.reshape(*seen.shape[:2], math.prod(seen.shape[2:]))
        return dropout(shifted(merged, shift, self.out), self.dropout, key, count)


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
        self,
        x: Float[Array, "b t d"] | Standard,
        *,
        key: PRNGKeyArray | None = None,
        count: int | None = None,
    ) -> Float[Array, "b t d"]:
        """Each token by itself; with a key, dropout."""
        inner, outer = keys.within(key, "hidden"), keys.within(key, "out")
        hidden = dropped_gelu(linear(x, self.wide), self.dropout, inner, count)
        return dropout(self.narrow(hidden), self.dropout, outer, count)


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
        standard: Float[Array, "b t d"] | None = None,
        count: int | None = None,
    ) -> Float[Array, "b t d"]:
        """Float32 tokens, as they came in; with a key, dropout and stochastic depth.

        `kept` is what `depth` said, where the layer cannot know it by itself, and
        `standard` is `standardised(x)`, where that is there already. Those after the
        first `count` are nobody's, for the room that `with_room` wants.
        """
        if kept is None:
            kept = self.depth(len(x), key)
        made = functools.partial(TransformerBlock._tokens, count=count)
        return remat.layer(self, made, x, key, kept, standard)

    def depth(self, clips: int, key: PRNGKeyArray | None) -> Float[Array, "2 b"]:
        """What the two branches of each clip are multiplied by: 0 where stochastic
        depth leaves them out."""
        ones = jnp.ones(clips)
        parts = [
            drop_path(ones, self.drop_path, keys.within(key, "depth", i))
            for i in (1, 2)
        ]
        return jnp.stack(parts)

    def _tokens(
        self,
        x: Array,
        key: PRNGKeyArray | None,
        kept: Array,
        standard: Array | None,
        count: int | None,
    ) -> Array:
        first, second = kept[..., None, None]
        tokens = self.norm1.tokens(x, self.attention.dtype, standard)
        inner, outer = keys.within(key, "attention"), keys.within(key, "mlp")
        part = self.attention.over_itself(tokens, key=inner, count=count)
        x = x + part * first.astype(part.dtype)
        if self.norm2 is None or self.mlp is None:
            return in_rows(x)
        x = meeting(x, self.attention.dtype)
        tokens = self.norm2.tokens(x, self.attention.dtype)
        part = self.mlp(tokens, key=outer, count=count)
        return settled(x + part * second.astype(part.dtype), self.attention.dtype)

    @typed
    def weights_of_first(self, x: Float[Array, "b t d"]) -> Float[Array, "b h t"]:
        """How much the first token, usually that of the class, takes from each."""
        x = self.norm1(x)
        return self.attention.weights(x[:, :1], x)[:, :, 0]
