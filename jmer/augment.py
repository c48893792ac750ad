"""Random changes of training clips: pure, keyed, the same on every backend.

Arrays are batches with height, width and channels last; `vectors` says that the
channels are optical flow (u to the right, v down, in pixels), which geometry moves too.
"""

import jax
import jax.numpy as jnp

from jmer.arrays import Array, PRNGKeyArray, Shaped, typed


@typed
def random_flip(
    x: Shaped[Array, "b *t h w c"], key: PRNGKeyArray, *, vectors: bool = False
) -> Shaped[Array, "b *t h w c"]:
    """Each clip mirrored left to right, or not, with equal probability.

    Of vectors, u changes its sign.
    """
    flip = jax.random.bernoulli(key, shape=x.shape[:1])
    mirrored = x[..., ::-1, :]
    if vectors:
        mirrored = mirrored * jnp.array([-1, 1], x.dtype)
    return jnp.where(flip.reshape(-1, *(1,) * (x.ndim - 1)), mirrored, x)
