"""Pixels as the authors of VGG-16 trained it, and torchvision's first layer for them.

Theirs begin with blue and lie about 0; torchvision's begin with red, over a deviation.
The two agree, but for some thousandths of the border: what lies around the image is the
mean, which is rounded differently.
"""

import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Shaped, typed
from jmer.nn.imagenet import DEVIATION
from jmer.nn.imagenet import MEAN as IMAGENET_MEAN

MEAN = np.array([103.939, 116.779, 123.68], np.float32)
"""Of blue, green and red over ImageNet, 0 to 255."""


@typed
def about_zero(frames: Shaped[Array, "*n h w 3"]) -> Float[Array, "*n h w 3"]:
    """Blue first and less the mean, of RGB from 0 to 255."""
    return frames.astype(jnp.float32)[..., ::-1] - MEAN


def first_layer(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [3, 3, 3, d] and bias [d] for such pixels, of those for torchvision's."""
    kernel = kernel / (255 * DEVIATION[:, None])
    offset = MEAN[::-1] - 255 * IMAGENET_MEAN
    bias = bias + np.einsum("ijcd,c->d", kernel, offset)
    return np.ascontiguousarray(kernel[:, :, ::-1]), bias.astype(np.float32)
