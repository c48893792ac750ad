"""Pairs of frames and what they become when their motion is magnified, made of nothing.

After Oh et al. 2018, section 3.4, who pasted segmented objects on photographs. Here
textures and outlines are functions of the place, so that motion of any part of a pixel
is exact, and no larger image is rendered and filtered.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmer import keys
from jmer.arrays import Array, Float, Int, PRNGKeyArray, typed
from jmer.errors import FieldCheck
from jmer.magnet.network import LEAST, MULTIPLE
from jmer.pretrain.outline import MARKS, Outline, random_outline
from jmer.pretrain.texture import NUMBERS, Texture, random_texture

KINDS = 5  # as many of each
ALL, BLURRED, BACKGROUND, STILL, STILL_BACKGROUND = range(KINDS)
MID = 127.5  # the grey level that the strength of noise is told for


@dataclasses.dataclass(frozen=True)
class Motions:
    """How scenes move; the paper's figures."""

    size: int = 384
    """Height and width of a frame, in pixels; a multiple of 4."""
    factor: float = 100.0
    """Largest factor; they are spread evenly over its logarithm."""
    motion: float = 10.0
    """Longest motion from one frame to the next, in pixels."""
    magnified: float = 30.0
    """Longest motion after magnification, in pixels."""
    objects: int = 15
    """Most objects before the background; the fewest are half as many."""
    perturb: float = 20.0
    """Largest change of an object's red, green and blue, each its own, in grey levels;
    the paper does not say."""
    noise: float = 3.0
    """Largest standard deviation of the noise of light at mid-grey, in grey levels."""

    def __post_init__(self) -> None:
        check = FieldCheck(self)
        check.multiple(MULTIPLE, "size", least=LEAST)
        check.finite("factor", "objects", least=1)
        check.finite("motion", "magnified", "perturb", "noise")


class Sample(NamedTuple):
    """Frames [h, w, 3] of 0 to 255 and the factor between their motions.

    The two frames are whole grey levels with noise, as a camera's; the target has none.
    """

    onset: Array
    frame: Array  # after the motion, each object in another colour
    clean: Array  # the same in the colours of `onset`
    target: Array  # after `factor` times the motion, in the colours of `frame`
    factor: Array


class Figures(NamedTuple):
    """Textures in outlines of their own, later ones before earlier ones."""

    texture: Texture  # n ...
    outline: Outline  # n ...
    shown: Array  # n: whether they are there, 0 or 1


class Scene(NamedTuple):
    """A background, figures before it, and how each moves, in pixels."""

    background: Texture
    figures: Figures
    background_motion: Array  # 2
    motions: Array  # n 2

    @typed
    def image(
        self,
        size: int,
        factor: Float[Array, ""] | float,
        tints: Float[Array, "m 3"] | float = 0.0,
    ) -> Float[Array, "{size} {size} 3"]:
        """After `factor` times the motion. `tints` are added to the colours, of the
        background and then of each figure. Pixels of 0 to 255.
        """
        tints = jnp.broadcast_to(tints, (len(self.motions) + 1, 3))
        image = self.background.image(size, factor * self.background_motion)

        def paste(
            image: Array, layer: tuple[Figures, Array, Array]
        ) -> tuple[Array, None]:
            figure, motion, tint = layer
            cover = figure.shown * figure.outline.cover(size, factor * motion)
            texture = figure.texture.image(size, factor * motion) + tint
            return image + cover[..., None] * (texture - image), None

        layers = (self.figures, self.motions, tints[1:])
        image, _ = jax.lax.scan(paste, image + tints[0], layers)
        return jnp.clip(image, 0, 255)


@typed
def random_scene(
    motions: Motions,
    key: PRNGKeyArray,
    longest: Float[Array, ""] | float,
    kind: Int[Array, ""] | int,
) -> Scene:
    """Of one of the five kinds, with motions of up to `longest` pixels."""
    size, most = motions.size, motions.objects
    # Few draws of many numbers: each draw is a program of its own to compile.
    numbers = jax.random.uniform(
        keys.named(key, "layers"), (most + 1, NUMBERS + 2 + MARKS)
    )
    blur, count = jax.random.uniform(keys.named(key, "scene"), (2,))
    textures, length, angle, outlines = jnp.split(
        numbers, [NUMBERS, NUMBERS + 1, NUMBERS + 2], axis=-1
    )
    moves = (
        longest
        * length
        * jnp.concatenate(
            [jnp.cos(2 * jnp.pi * angle), jnp.sin(2 * jnp.pi * angle)], -1
        )
    )
    moves = moves * jnp.not_equal(kind, STILL)
    background = random_texture(textures[0], size)
    fewest = (most + 1) // 2
    number = fewest + jnp.floor(count * (most + 1 - fewest))
    shown = (jnp.arange(most) < number) & jnp.not_equal(kind, BACKGROUND)
    return Scene(
        background=background.blurred((1 + 4 * blur) * jnp.equal(kind, BLURRED)),
        figures=Figures(
            texture=jax.vmap(lambda n: random_texture(n, size))(textures[1:]),
            outline=jax.vmap(lambda n: random_outline(n, size))(outlines[1:]),
            shown=shown.astype(jnp.float32),
        ),
        background_motion=moves[0] * jnp.not_equal(kind, STILL_BACKGROUND),
        motions=moves[1:],
    )


@typed
def random_sample(motions: Motions, key: PRNGKeyArray) -> Sample:
    """One of each kind in five: all moves; before a blurred background; no objects;
    nothing moves; all but the background does.
    """
    kind, factor, noise = jax.random.uniform(keys.named(key, "sample"), (3,))
    factor = motions.factor**factor
    longest = jnp.minimum(motions.motion, motions.magnified / factor)
    kind = jnp.floor(kind * KINDS).astype(jnp.int32)
    scene = random_scene(motions, key, longest, kind)
    tints = motions.perturb * jax.random.uniform(
        keys.named(key, "tints"), (motions.objects + 1, 3), minval=-1.0
    )
    # All four at once: they are one program to compile.
    times = jnp.stack([0.0, 1.0, 1.0, factor])
    coloured = jnp.array([0.0, 1.0, 0.0, 1.0])[:, None, None] * tints
    images = jax.vmap(functools.partial(scene.image, motions.size))(times, coloured)
    camera = keys.named(key, "camera")
    onset, frame, clean = photographed(images[:3], motions.noise * noise, camera)
    return Sample(onset, frame, clean, images[3], factor)


def photographed(image: Array, noise: Array | float, key: PRNGKeyArray) -> Array:
    """With noise of light, whose variance grows with the light, and whole grey levels.

    A value of 102.3 becomes 103 in three cases of ten: rounded alike, small motion of
    soft textures would change nothing.
    """
    light, level = (keys.named(key, name) for name in ("light", "level"))
    deviation = noise * jnp.sqrt(image / MID)
    noisy = image + deviation * jax.random.normal(light, image.shape)
    whole = jnp.floor(noisy + jax.random.uniform(level, image.shape))
    return jnp.clip(whole, 0, 255)
