"""Patches of pixels as tokens."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn.dropout import dropout
from jmer.nn.init import narrow_normal
from jmer.nn.linear import Linear
from jmer.nn.sinusoid import sinusoid


class PatchEmbed(nnx.Module):
    """A convolution whose stride is its kernel, as one product; its space in a row.

    Pixels that fill no patch, at the end of an axis, are left out. The weights start
    as those of PyTorch's convolution do.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: Sequence[int],
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.window = tuple(window)
        pixels = math.prod(self.window)
        self.proj = Linear(inputs * pixels, outputs, dtype=dtype, rngs=rngs)

    @typed
    def __call__(self, x: Float[Array, "b *space c"]) -> Float[Array, "b p d"]:
        """A token for each whole patch."""
        return self.proj(patches(x, self.window))


@typed
def patches(
    x: Float[Array, "b *space c"], window: Sequence[int]
) -> Float[Array, "b p q"]:
    """The values of each patch, its axes in the order of `x`, channels last."""
    b, *space, c = x.shape
    counts = [n // size for n, size in zip(space, window, strict=True)]
    sides = list(zip(counts, window, strict=True))
    whole = x[(slice(None), *(slice(n * size) for n, size in sides))]
    # Channels stay with the pixels of a row: a last axis of three would be padded to
    # 128 on a TPU.
    sides[-1] = counts[-1], window[-1] * c
    split = whole.reshape(b, *(n for side in sides for n in side))
    which, inside = range(1, split.ndim, 2), range(2, split.ndim, 2)
    ordered = split.transpose(0, *which, *inside)
    return ordered.reshape(b, math.prod(counts), math.prod(window) * c)


class PatchTokens(nnx.Module):
    """RGB frames as tokens with fixed positions, that of the class first.

    Dosovitskiy et al. 2021, section 3.1, for clips. Tokens are float32.
    """

    def __init__(
        self,
        window: Sequence[int],
        dim: int,
        *,
        dropout: float = 0.0,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.dropout = dropout
        self.embed = PatchEmbed(3, dim, window, dtype=dtype, rngs=rngs)
        self.token = nnx.Param(narrow_normal(rngs.params(), (1, 1, dim)))

    @typed
    def __call__(
        self, frames: Float[Array, "b t h w 3"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "b p d"]:
        """The class token, then those of the patches, all with their places added."""
        patches = self.embed(frames).astype(jnp.float32)
        token = jnp.broadcast_to(self.token[...], (len(patches), 1, patches.shape[-1]))
        x = jnp.concatenate([token, patches], axis=1)
        return dropout(x + sinusoid(*x.shape[1:]), self.dropout, key)
