"""Outlines of figures, and how much of each pixel lies within."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.stats import norm

from jmer.arrays import Array, Float, typed

WAVES = 4  # of an outline, once to four times around
MARKS = 3 + 2 * WAVES  # random numbers of an outline
SOFTNESS = 0.6  # standard deviation in pixels of what a pixel gathers across an edge


class Outline(NamedTuple):
    """A circle whose radius has waves; pixels."""

    centre: Array  # 2
    radius: Array
    waves: Array  # k 2: shares of the radius, of cosine and sine

    @typed
    def cover(
        self, size: int, offset: Float[Array, " 2"]
    ) -> Float[Array, "{size} {size}"]:
        """The share of each pixel that is inside after a motion of `offset`."""
        centre = self.centre + offset
        places = jnp.arange(size)
        x, y = places[None] - centre[0], places[:, None] - centre[1]
        away = jnp.maximum(jnp.hypot(x, y), 1e-3)
        cosine, sine = x / away, y / away
        wave, edge = (cosine, sine), jnp.ones_like(away)
        for share in self.waves:
            edge += share[0] * wave[0] + share[1] * wave[1]
            # Of the next multiple of the angle.
            wave = (
                wave[0] * cosine - wave[1] * sine,
                wave[1] * cosine + wave[0] * sine,
            )
        return norm.cdf((self.radius * edge - away) / SOFTNESS)


@typed
def random_outline(numbers: Float[Array, " m"], size: int) -> Outline:
    """From `MARKS` random numbers of 0 to 1, for images of `size` pixels."""
    centre, radius, waves = jnp.split(numbers, [2, 3])
    times = jnp.arange(1, WAVES + 1)[:, None]
    return Outline(
        centre=size * centre,
        radius=size * (0.06 + 0.16 * radius[0]),
        waves=0.7 / times * (waves.reshape(WAVES, 2) - 0.5),
    )
