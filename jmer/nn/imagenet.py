"""Pixels as networks for ImageNet want them."""

import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Shaped, typed

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@typed
def imagenet(pixels: Shaped[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """RGB from 0 to 255, of any type, less ImageNet's mean, over its deviation."""
    return (pixels.astype(jnp.float32) / 255 - MEAN) / DEVIATION
