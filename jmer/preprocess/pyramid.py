"""Images blurred and at half the size, and flow at twice the size.

As scikit-image does each of them, so that results can be compared with it.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter1d

from jmer.arrays import Array, Float, typed

COARSEST = 32  # images of at most this side are not halved
LEVELS = 10
BLUR = 2 / 3  # standard deviation before a halving, in pixels


@typed
def pyramid(image: Float[Array, "n h w"]) -> list[Float[Array, "n _ _"]]:
    """The image and what halving leaves of it, the smallest first."""
    images = [image]
    while min(images[-1].shape[1:]) > COARSEST and len(images) < LEVELS:
        images.append(halved(images[-1]))
    return images[::-1]


@typed
def halved(image: Float[Array, "n h w"]) -> Float[Array, "n _ _"]:
    """Blurred and read at half as many points, rounded up, on each axis."""
    return _separable(_halving, image)


@typed
def blurred(image: Float[Array, "n h w"], deviation: float) -> Float[Array, "n h w"]:
    """By a Gaussian of that standard deviation in pixels, mirrored at the edges."""
    return _separable(partial(_blur, deviation=deviation), image)


def _separable(matrix: Callable[[int], np.ndarray], image: Array) -> Array:
    down, across = (matrix(side).astype(np.float32) for side in image.shape[1:])
    exact = jax.lax.Precision.HIGHEST  # an accelerator would round to fewer bits
    return jnp.einsum("ih,nhw,jw->nij", down, image, across, precision=exact)


@lru_cache
def _blur(side: int, deviation: float) -> np.ndarray:
    return gaussian_filter1d(np.eye(side), deviation, axis=0, mode="reflect")


@lru_cache
def _halving(side: int) -> np.ndarray:
    """The linear map of one axis, [ceil(side / 2), side]: both steps in one."""
    half = -(-side // 2)
    blur = _blur(side, BLUR)
    # Where the new pixels' centres lie among the old ones, in whole pixels.
    at = (np.arange(half) + 0.5) * side / half - 0.5
    left = np.floor(at).astype(int)
    share = (at - left)[:, None]
    right = np.minimum(left + 1, side - 1)
    return (1 - share) * blur[left] + share * blur[right]


@typed
def enlarged(
    flow: Float[Array, "2 n _ _"], height: int, width: int
) -> Float[Array, "2 n {height} {width}"]:
    """Vectors of the nearest pixel, corners on corners, in pixels of the new size."""
    old_height, old_width = flow.shape[2:]
    flow = flow[:, :, _nearest(old_height, height)]
    flow = flow[..., _nearest(old_width, width)]
    scale = np.array([width / old_width, height / old_height], np.float32)
    return flow * scale[:, None, None, None]


def _nearest(old: int, new: int) -> np.ndarray:
    return np.floor(np.arange(new) * (old - 1) / max(new - 1, 1) + 0.5).astype(int)
