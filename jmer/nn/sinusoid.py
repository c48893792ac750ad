"""Fixed positions of tokens."""

import functools

import numpy as np

from jmer.arrays import Float


@functools.cache
def sinusoid(tokens: int, features: int) -> Float[np.ndarray, "{tokens} {features}"]:
    """sin(p / 10000^(2i/d)) and cos of the same, in turn along the d features, for
    each position p from 0. Vaswani et al. 2017, section 3.5.
    """
    position = np.arange(tokens)[:, None]
    pair = np.arange(features) // 2
    angle = position / 10000 ** (2 * pair / features)
    table = np.where(np.arange(features) % 2, np.cos(angle), np.sin(angle))
    table.flags.writeable = False  # one array for all who ask
    return table.astype(np.float32)
