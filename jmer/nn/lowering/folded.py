"""Several pixels in the channels of one, for TPUs.

A TPU keeps channels in 128 lanes, and half of what it does is for nothing where there
are 64. A folded array [b, *space, w / n, n * c] has `n` neighbours of a row in each of
its pixels: it is a reshaped [b, *space, w, c].
"""

import jax.numpy as jnp

from jmer.arrays import Array
from jmer.nn.lowering.choice import current

LANES = 128
FEWEST = 32  # channels; of fewer, a convolution's compiler joins some by itself


def folds_of(width: int, channels: int) -> int:
    """How many pixels of a row are to share the lanes."""
    n = LANES // channels
    fits = channels >= FEWEST and n * channels == LANES and width % n == 0
    return n if fits and current() == "tpu" else 1


def fold(x: Array, n: int) -> Array:
    """[b, *space, w / n, n * c] of [b, *space, w, c]."""
    *space, w, c = x.shape
    return x.reshape(*space, w // n, n * c) if n > 1 else x


def unfold(x: Array, n: int) -> Array:
    """The inverse of `fold`."""
    *space, w, c = x.shape
    return x.reshape(*space, w * n, c // n) if n > 1 else x


def folded_kernel(
    kernel: Array, stride: int, padding: int, n: int, m: int
) -> tuple[Array, int, int]:
    """[*window, k, n * c, m * d] of a kernel [*window, k', c, d], with its stride and
    its padding before the row: the same convolution, along rows of pixels of which `n`
    are folded, into rows of which `m` are.

    `stride * m` is a multiple of `n`.
    """
    *window, reach, c, d = kernel.shape
    # The first of m outputs begins at pixel -padding, the last ends at:
    end = stride * (m - 1) + reach - 1 - padding
    first, last = -padding // n, end // n
    # Slices beside one another: of a product the compiler makes a slower program.
    none = jnp.zeros((*window, c, d), kernel.dtype)

    def seen(pixel: int, output: int) -> Array:
        tap = pixel - (stride * output - padding)
        return kernel[..., tap, :, :] if 0 <= tap < reach else none

    pixels = range(n * first, n * (last + 1))
    rows = [jnp.concatenate([seen(p, r) for r in range(m)], -1) for p in pixels]
    made = jnp.stack(rows, -3).reshape(*window, last - first + 1, n * c, m * d)
    return made, stride * m // n, -first
