"""Optical flow as the colours that people draw it in."""

import jax.numpy as jnp
import numpy as np

from jmer.arrays import Array, Float, Shaped, typed

# Angles of red, yellow, green, cyan, blue, magenta and red again, in parts of a turn:
# more hues where the eye tells more of them apart.
KNOTS = np.cumsum([0, 15, 6, 4, 11, 13, 6]) / 55
HUES = np.array(
    [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]]
)


@typed
def wheel_colours(flow: Shaped[Array, "b t h w 2"]) -> Float[Array, "b t h w 3"]:
    """Red, green and blue, 0 to 1, of flow: the colour wheel of Baker et al. 2011.

    The hue tells the direction (red to the right, yellow down, cyan left, blue up),
    whiteness how slow the motion is beside the fastest of the clip, so that frames keep
    their strengths. A still clip is white.
    """
    u, v = flow[..., 0].astype(jnp.float32), flow[..., 1].astype(jnp.float32)
    speed = jnp.hypot(u, v)
    fastest = speed.max((1, 2, 3), keepdims=True)
    speed = speed / jnp.where(fastest > 0, fastest, 1)
    turn = jnp.arctan2(v, u) / (2 * jnp.pi) % 1
    hue = jnp.stack([jnp.interp(turn, KNOTS, HUES[:, i]) for i in range(3)], -1)
    return 1 - speed[..., None] * (1 - hue)
