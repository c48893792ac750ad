"""Images that are sums of known functions, and so may be sampled anywhere."""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from jmer.arrays import Array, Float, typed

TERMS = 20  # waves, and as many spots
NUMBERS = 3 + 15 * TERMS  # random ones of a texture
SHORTEST = 4.0  # pixels of a wave: a square grid shows those above 2
NARROWEST = 1.5  # standard deviation of a spot in pixels: what is below aliases
CONTRAST = 110.0  # grey levels, over the root of the number of terms


class Texture(NamedTuple):
    """Waves in all directions and upright Gaussian spots, on a plain colour.

    Each is a function of x times one of y, or two of them, so that an image of any size
    is one product of matrices. Places and lengths are in pixels, colours in 0 to 255.
    """

    plain: Array  # c
    wave: Array  # k 2: radians a pixel along x and y
    phase: Array  # k
    wave_colour: Array  # k c
    spot: Array  # k 2: the centre
    extent: Array  # k 2: standard deviations
    spot_colour: Array  # k c

    @typed
    def image(
        self, size: int, offset: Float[Array, " 2"]
    ) -> Float[Array, "{size} {size} c"]:
        """A square of `size` pixels after a motion of `offset`, to the right and down.

        Pixel centres lie at whole numbers. Values may leave 0 to 255.
        """
        x, y = jnp.arange(size) - offset[:, None]
        across = self.wave[:, 0, None] * x + self.phase[:, None]
        down = self.wave[:, 1, None] * y
        wide, high = self._spots(0, x), self._spots(1, y)
        columns = jnp.concatenate([jnp.cos(across), -jnp.sin(across), wide])
        rows = jnp.concatenate([jnp.cos(down), jnp.sin(down), high])
        colours = (self.wave_colour, self.wave_colour, self.spot_colour)
        weighted = rows[..., None] * jnp.concatenate(colours)[:, None]  # k h c
        return self.plain + jnp.einsum(
            "khc,kw->hwc", weighted, columns, precision=lax.Precision.HIGHEST
        )

    def _spots(self, axis: int, x: Array) -> Array:
        away = (x - self.spot[:, axis, None]) / self.extent[:, axis, None]
        return jnp.exp(-jnp.square(away) / 2)

    def blurred(self, deviation: Array | float) -> "Texture":
        """Under a Gaussian blur of that standard deviation in pixels, exactly."""
        passed = jnp.exp(-jnp.square(self.wave * deviation).sum(-1) / 2)
        extent = jnp.sqrt(jnp.square(self.extent) + jnp.square(deviation))
        lower = (self.extent / extent).prod(-1)
        return self._replace(
            wave_colour=self.wave_colour * passed[:, None],
            extent=extent,
            spot_colour=self.spot_colour * lower[:, None],
        )


@typed
def random_texture(
    numbers: Float[Array, " m"], size: int, *, shortest: float = SHORTEST
) -> Texture:
    """From `NUMBERS` random ones of 0 to 1, for images of `size` pixels.

    Waves are from `shortest` to `size` pixels long, and weaker the shorter, as in
    photographs; spots are as various. Most are grey, as light and shade are.
    """
    ends = itertools.accumulate((3, *(n * TERMS for n in (1, 1, 1, 4, 2, 2))))
    plain, length, angle, phase, wave, spot, extent, bright = jnp.split(
        numbers, list(ends)
    )
    wavelength = shortest * (size / shortest) ** length[:, None]
    turn = jnp.pi * angle[:, None]
    direction = jnp.concatenate([jnp.cos(turn), jnp.sin(turn)], -1)
    strength = CONTRAST / TERMS**0.5 * jnp.sqrt(wavelength / size)
    narrowest = shortest * NARROWEST / SHORTEST
    widest = max(size / 6, narrowest)
    return Texture(
        plain=60 + 135 * plain,
        wave=2 * jnp.pi / wavelength * direction,
        phase=2 * jnp.pi * phase,
        wave_colour=strength * _colours(wave),
        spot=size * (1.2 * spot.reshape(TERMS, 2) - 0.1),
        extent=narrowest * (widest / narrowest) ** extent.reshape(TERMS, 2),
        spot_colour=CONTRAST / 2 * _colours(bright),
    )


def _colours(numbers: Array) -> Array:
    grey_and_tint = 2 * jnp.sqrt(3.0) * (numbers.reshape(TERMS, 4) - 0.5)
    return 0.8 * grey_and_tint[:, :1] + 0.4 * grey_and_tint[:, 1:]
