"""Images at half the size, flow at twice the size, and images moved by flow.

As scikit-image does each of them, so that results can be compared with it.
"""

from functools import lru_cache

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
    down, across = (_halving(side) for side in image.shape[1:])
    exact = jax.lax.Precision.HIGHEST  # an accelerator would round to bfloat16
    return jnp.einsum("ih,nhw,jw->nij", down, image, across, precision=exact)


@lru_cache
def _halving(side: int) -> np.ndarray:
    """The linear map of one axis, [ceil(side / 2), side]: both steps in one."""
    half = -(-side // 2)
    blur = gaussian_filter1d(np.eye(side), BLUR, axis=0, mode="reflect")
    # Where the new pixels' centres lie among the old ones, in whole pixels.
    at = (np.arange(half) + 0.5) * side / half - 0.5
    left = np.floor(at).astype(int)
    share = (at - left)[:, None]
    right = np.minimum(left + 1, side - 1)
    return ((1 - share) * blur[left] + share * blur[right]).astype(np.float32)


@typed
def enlarged(
    flow: Float[Array, "2 n _ _"], height: int, width: int
) -> Float[Array, "2 n {height} {width}"]:
    """Vectors of the nearest pixel, corners on corners, in pixels of the new size."""
    old_height, old_width = flow.shape[2:]
    flow = flow[:, :, _nearest(old_height, height)]
    flow = flow[..., _nearest(old_width, width)]
    scale = np.float32([width / old_width, height / old_height])
    return flow * scale[:, None, None, None]


def _nearest(old: int, new: int) -> np.ndarray:
    return np.floor(np.arange(new) * (old - 1) / max(new - 1, 1) + 0.5).astype(int)


@typed
def warped(
    image: Float[Array, "n h w"], flow: Float[Array, "2 n h w"]
) -> Float[Array, "n h w"]:
    """What `image` shows where `flow` points to: bilinear, with the edges repeated."""
    n, height, width = image.shape
    x = jnp.clip(flow[0] + jnp.arange(width, dtype=flow.dtype), 0, width - 1)
    y = jnp.clip(flow[1] + jnp.arange(height, dtype=flow.dtype)[:, None], 0, height - 1)
    left = jnp.minimum(jnp.floor(x), width - 2)
    top = jnp.minimum(jnp.floor(y), height - 2)
    right_share, low_share = x - left, y - top
    corner = (top * width + left).astype(jnp.int32).reshape(n, -1)
    flat = image.reshape(n, -1)

    def seen(offset: int) -> Array:
        # `corner` is never in the last row or column.
        at = corner + offset
        found = jnp.take_along_axis(flat, at, axis=1, mode="promise_in_bounds")
        return found.reshape(n, height, width)

    upper = (1 - right_share) * seen(0) + right_share * seen(1)
    lower = (1 - right_share) * seen(width) + right_share * seen(width + 1)
    return (1 - low_share) * upper + low_share * lower
