"""Patches of pixels as tokens."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn.dropout import dropout
from jmer.nn.init import narrow_normal
from jmer.nn.linear import Linear
from jmer.nn.lowering.choice import current
from jmer.nn.sinusoid import sinusoid
from jmer.nn.tokens import first_of, in_rows, with_first


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
        return self.proj(self.patches(x))

    def patches(self, x: Float[Array, "b *space c"]) -> Float[Array, "b p q"]:
        """The values of each patch, in the type of the product."""
        x = x.astype(self.proj.dtype)
        return patches(
            _by_rows(x, self.window) if current() == "tpu" else x, self.window
        )


def _by_rows(x: Array, window: Sequence[int]) -> Array:
    """`x` [b, *space, c] without what fills no patch. The compiler for TPUs has whole
    rows of pixels in the lanes until they are taken apart: else it would do all that
    comes before with three values in 128 lanes."""
    *outer, width, c = x.shape
    counts = [n // size * size for n, size in zip(x.shape[1:-1], window, strict=True)]
    rows = x.reshape(*outer, width * c)
    rows = rows[(slice(None), *map(slice, counts[:-1]), slice(counts[-1] * c))]
    return lax.optimization_barrier(rows).reshape(len(x), *counts, c)


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

    def count(self, frames: Array) -> int:
        """How many tokens frames [b, t, h, w, 3] become."""
        sides = zip(frames.shape[1:-1], self.embed.window, strict=True)
        return 1 + math.prod(n // size for n, size in sides)

    @typed
    def __call__(
        self,
        frames: Float[Array, "b t h w 3"],
        *,
        key: PRNGKeyArray | None = None,
        room: int | None = None,
    ) -> Float[Array, "b p d"]:
        """The class token, then those of the patches, all with their places added; with
        `room`, up to so many, of which the last are nobody's.

        Raises: ValueError if they are more.
        """
        count = self.count(frames)
        rest = 0 if room is None else room - first_of(room, count)
        # The class token has a place of its own from the start: to put it before the
        # others would lay them out anew, there and back.
        patches = jnp.pad(self.embed.patches(frames), ((0, 0), (1, rest), (0, 0)))
        tokens = self.embed.proj(patches).astype(jnp.float32)
        x = with_first(jnp.broadcast_to(self.token[...], tokens[:, :1].shape), tokens)
        x = in_rows(x + sinusoid(*x.shape[1:]))
        return dropout(x, self.dropout, key, count if rest else None)
