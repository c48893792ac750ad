"""By how much a magnifier magnifies, measured on motion that is known."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from jmer import keys
from jmer.arrays import Array, Float, typed
from jmer.pretrain.texture import NUMBERS, Texture, random_texture

SHORTEST = 8.0  # pixels of a wave, so that shifts of some pixels stay unambiguous
COLUMNS = ("motion", "factor", "found", "error")
TRIED = np.linspace(-0.5, 2.0, 51, dtype=np.float32)  # shares of the motion expected
UPDATES = 8  # of Gauss and Newton: each about squares the error
Magnify = Callable[[Array, Array, Array], Array]
"""Of onsets [b, h, w, 3], frames [b, t, h, w, 3] and factors [k], frames
[b, t, k, h, w, 3]; pixels of 0 to 255."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Motions in pixels, factors, and for each of them and each scene what was found.

    `found` is the motion of the magnified frame along the true one, over the true one:
    the factor as it came out. `error` is the distance from where the magnified frame
    should lie, over the motion that it should have.
    """

    motions: Float32[np.ndarray, " t"]
    factors: Float32[np.ndarray, " k"]
    found: Float32[np.ndarray, "t k n"]
    error: Float32[np.ndarray, "t k n"]

    def table(self) -> str:
        """Mean errors in percent, and the factors found."""
        head = "  ".join(f"{'x' + format(f, 'g'):>11}" for f in self.factors)
        lines = [f"  motion  {head}"]
        percent, found = 100 * self.error.mean(-1), self.found.mean(-1)
        for i, motion in enumerate(self.motions):
            cells = (
                f"{p:4.1f}% {f:5.2f}" for p, f in zip(percent[i], found[i], strict=True)
            )
            lines.append(f"{motion:6.2f}px  " + "  ".join(f"{c:>11}" for c in cells))
        return "\n".join(lines)

    def rows(self) -> list[dict[str, float]]:
        """One for each motion and factor; means over scenes."""
        motion, factor = np.meshgrid(self.motions, self.factors, indexing="ij")
        columns = (motion, factor, self.found.mean(-1), self.error.mean(-1))
        rows = np.stack([column.ravel() for column in columns], axis=-1)
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows.tolist()]


def measure(
    magnify: Magnify,
    *,
    motions: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0),
    factors: tuple[float, ...] = (2, 3, 4, 5, 6, 7, 8, 9),
    size: int = 96,
    scenes: int = 6,
    seed: int = 0,
) -> Measured:
    """On textures that move as a whole, each another way, in whole grey levels."""
    margin = int(max(motions) * max(factors)) + 3
    lengths, times = np.array(motions, np.float32), np.array(factors, np.float32)

    @jax.jit
    def one(texture: Texture, way: Array) -> tuple[Array, Array]:
        onset, *frames = (
            jnp.rint(_seen(texture, size, length * way)) for length in (0.0, *motions)
        )
        made = magnify(onset[None], jnp.stack(frames)[None], times)[0]
        expected = lengths[:, None] * times

        def placed(image: Array, long: Array) -> Array:
            return registered(texture, image, long * way, margin=margin)

        places = jax.lax.map(
            lambda each: placed(*each),
            (made.reshape(-1, *made.shape[2:]), expected.reshape(-1)),
        ).reshape(*expected.shape, 2)
        away = places - expected[..., None] * way
        error = jnp.linalg.norm(away, axis=-1) / expected
        return places @ way / lengths[:, None], error

    found, error = zip(
        *(one(*shifted_scene(seed, n, size)) for n in range(scenes)), strict=True
    )
    return Measured(lengths, times, np.stack(found, -1), np.stack(error, -1))


def shifted_scene(seed: int, number: int, size: int) -> tuple[Texture, Array]:
    """A texture and the direction [2] that it moves in."""
    key = keys.named(keys.seed_key(seed), "measure", number)
    numbers = jax.random.uniform(keys.named(key, "texture"), (NUMBERS,))
    turn = 2 * jnp.pi * jax.random.uniform(keys.named(key, "direction"))
    texture = random_texture(numbers, size, shortest=SHORTEST)
    return texture, jnp.stack([jnp.cos(turn), jnp.sin(turn)])


@typed
def registered(
    texture: Texture,
    image: Float[Array, "h h 3"],
    towards: Float[Array, " 2"],
    *,
    margin: int,
) -> Float[Array, " 2"]:
    """The offset in pixels at which the texture is most like `image`, by least squares
    of colours without their means and scales, and without a margin of some pixels.

    It is looked for along `towards` first, from half of that backwards to twice of it.
    """
    size = len(image)
    inner = slice(margin, size - margin)

    def standard(image: Array) -> Array:
        part = image[inner, inner].reshape(-1, 3)
        return (part - part.mean(0)) / (part.std(0) + 1e-3)

    def difference(offset: Array) -> Array:
        return (standard(_seen(texture, size, offset)) - wanted).reshape(-1)

    def update(_: Array, offset: Array) -> Array:
        left, slope = difference(offset), jax.jacfwd(difference)(offset)
        return offset - jnp.linalg.solve(slope.T @ slope, slope.T @ left)

    wanted = standard(image)
    starts = TRIED[:, None] * towards
    costs = jax.lax.map(lambda start: jnp.square(difference(start)).sum(), starts)
    return jax.lax.fori_loop(0, UPDATES, update, starts[costs.argmin()])


def _seen(texture: Texture, size: int, offset: Array) -> Array:
    return jnp.clip(texture.image(size, offset), 0, 255)
