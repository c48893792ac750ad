"""A class token that looks at the patches of another stream."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys
from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn import remat
from jmer.nn.layer_norm import Standard, standardised
from jmer.nn.tokens import first_of, with_first
from jmer.nn.transformer import Attention, layer_norm, narrow_linear


class Passage(nnx.Module):
    """Norm, GELU and a linear layer: from the width of one stream to another's."""

    def __init__(
        self, inputs: int, outputs: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        self.norm = layer_norm(inputs, rngs=rngs)
        self.linear = narrow_linear(inputs, outputs, dtype=dtype, rngs=rngs)

    @typed
    def __call__(self, x: Float[Array, "b t c"]) -> Float[Array, "b t d"]:
        return self.linear(nnx.gelu(self.norm(x), approximate=False))


class CrossFusion(nnx.Module):
    """The class token of one stream, of `dim` features, after it has attended to
    itself and to the patches of another stream, of `other` features, at their width.

    Chen et al. 2021 (CrossViT), section 3.2, with the token's norm before its GELU.
    """

    def __init__(
        self,
        dim: int,
        other: int,
        heads: int,
        *,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.there = Passage(dim, other, **same)
        self.norm = layer_norm(other, rngs=rngs)
        self.attention = Attention(other, heads, key_bias=True, dropout=dropout, **same)
        self.back = Passage(other, dim, **same)

    @typed
    def __call__(
        self,
        token: Float[Array, "b 1 d"],
        other: Float[Array, "b t e"],
        *,
        key: PRNGKeyArray | None = None,
        standard: Float[Array, "b t e"] | None = None,
        count: int | None = None,
    ) -> Float[Array, "b 1 d"]:
        """The new token in float32; with a key, dropout. The first of `other` is its
        class token, whose place the guest takes; those after the first `count` are
        nobody's. `standard` is `standardised(other)`, where that is there already."""
        made = functools.partial(CrossFusion._token, count=count)
        return remat.layer(self, made, token, other, key, standard)

    def _token(
        self,
        token: Array,
        other: Array,
        key: PRNGKeyArray | None,
        standard: Array | None,
        count: int | None,
    ) -> Array:
        guest = self.there(token).astype(jnp.float32)
        key, dtype = keys.within(key, "attention"), self.attention.dtype
        own = standardised(guest, dtype)
        if own is None:
            real = other[:, : first_of(other.shape[1], count)]
            tokens = self.norm(with_first(guest, real))
            seen = self.attention(tokens[:, :1], tokens, key=key)
        else:
            others = self.norm.tokens(other, dtype, standard)
            assert isinstance(others, Standard)
            seen = self.attention.of_guest(own, others, key=key, count=count)
        return self.back(guest + seen).astype(jnp.float32)

    @typed
    def weights(
        self, token: Float[Array, "b 1 d"], other: Float[Array, "b t e"]
    ) -> Float[Array, "b h t"]:
        """How much the token takes from itself, first, and from each patch."""
        guest = self.there(token).astype(jnp.float32)
        tokens = self.norm(with_first(guest, other))
        return self.attention.weights(tokens[:, :1], tokens)[:, :, 0]
