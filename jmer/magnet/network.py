"""The network of Oh et al. 2018, figure 2, with the layers of its published weights."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import nn
from jmer.arrays import Array, Float, typed

WIDTH = 16
MULTIPLE = 4  # of which the sides of frames must be multiples
Encoded = tuple[Array, Array, Array]
"""Texture, shape and motion."""
LEAST = 8  # pixels of a side: reflections reach no further


class Reflected(nnx.Module):
    """Convolution without bias of an image continued by its reflection.

    A square kernel of an odd side; at stride 1 the size stays.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, **same: Any
    ) -> None:
        window, strides = (side, side), (stride, stride)
        self.conv = nn.Conv(
            inputs, outputs, window, strides=strides, bias=False, **same
        )
        self.border = side // 2

    def __call__(self, x: Array) -> Array:
        edge = (self.border, self.border)
        return self.conv(jnp.pad(x, ((0, 0), edge, edge, (0, 0)), mode="reflect"))


class Residual(nnx.Module):
    """x plus two convolutions of it with a ReLU between, and none behind."""

    def __init__(self, channels: int, **same: Any) -> None:
        self.first = Reflected(channels, channels, 3, **same)
        self.second = Reflected(channels, channels, 3, **same)

    def __call__(self, x: Array) -> Array:
        return x + self.second(nnx.relu(self.first(x)))


def residuals(channels: int, count: int, **same: Any) -> nnx.Sequential:
    """`count` such blocks, one after the other."""
    return nnx.Sequential(*(Residual(channels, **same) for _ in range(count)))


class Encoder(nnx.Module):
    """Texture at a quarter of a frame's sides and shape at half of them."""

    def __init__(self, width: int, **same: Any) -> None:
        wide = 2 * width
        self.first = Reflected(3, width, 7, **same)
        self.second = Reflected(width, wide, 3, 2, **same)
        self.blocks = residuals(wide, 3, **same)
        self.texture_first = Reflected(wide, wide, 3, 2, **same)
        self.texture_blocks = residuals(wide, 2, **same)
        self.shape_first = Reflected(wide, wide, 3, **same)
        self.shape_blocks = residuals(wide, 2, **same)

    def __call__(self, frames: Array) -> tuple[Array, Array]:
        x = nnx.relu(self.second(nnx.relu(self.first(frames))))
        x = self.blocks(x)
        texture = self.texture_blocks(nnx.relu(self.texture_first(x)))
        return texture, self.shape_blocks(nnx.relu(self.shape_first(x)))


class Manipulator(nnx.Module):
    """How shape goes on: the motion between two, and a multiple of it."""

    def __init__(self, width: int, **same: Any) -> None:
        wide = 2 * width
        self.motion = Reflected(wide, wide, 7, **same)
        self.after = Reflected(wide, wide, 3, **same)
        self.block = Residual(wide, **same)

    def moved(self, onset: Array, shape: Array) -> Array:
        """What `shape` [b, h, w, c] has more than that of the onset."""
        return nnx.relu(self.motion(shape - onset))

    def __call__(self, shape: Array, motion: Array, factor: Array) -> Array:
        """`shape` with (factor - 1) times the motion, each of [b, h, w, c] or [b]."""
        times = (factor - 1).astype(motion.dtype)[:, None, None, None]
        return shape + self.block(self.after(times * motion))


class Decoder(nnx.Module):
    """A frame from texture and shape."""

    def __init__(self, width: int, **same: Any) -> None:
        wide = 2 * width
        self.texture = Reflected(wide, wide, 3, **same)
        self.blocks = residuals(2 * wide, 9, **same)
        self.first = Reflected(2 * wide, wide, 3, **same)
        self.second = Reflected(wide, 3, 7, **same)

    def enlarged(self, texture: Array) -> Array:
        """Texture in the size of shape; no factor changes it."""
        return nnx.relu(self.texture(doubled(texture)))

    def __call__(self, texture: Array, shape: Array) -> Array:
        x = self.blocks(jnp.concatenate([texture, shape], axis=-1))
        return self.second(nnx.relu(self.first(doubled(x))))


class Magnet(nnx.Module):
    """Frames whose motion since an onset is magnified; values of -1 to 1.

    A factor is what the published weights take: 1 leaves a frame as it is, and
    `factor - 1` times its motion is added. `width` is the channels of the first layer.

    Raises: ValueError for frames whose sides are below 8 or no multiples of 4.
    """

    def __init__(
        self,
        *,
        width: int = WIDTH,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.encoder = Encoder(width, **same)
        self.manipulator = Manipulator(width, **same)
        self.decoder = Decoder(width, **same)

    @typed
    def __call__(
        self,
        onset: Float[Array, "b h w 3"],
        frame: Float[Array, "b h w 3"],
        factor: Float[Array, " b"],
    ) -> Float[Array, "b h w 3"]:
        """One frame of each clip by a factor of its own."""
        _check(onset)
        encoded = self.encoded(self.encoder(onset)[1], frame)
        return self.decoded(encoded, factor).astype(jnp.float32)

    def encoded(self, before: Array, frame: Array) -> Encoded:
        """Texture, shape and motion of frames [b, h, w, 3] since an onset whose shape
        was `before`: what no factor changes."""
        _check(frame)
        texture, shape = self.encoder(frame)
        motion = self.manipulator.moved(before, shape)
        return self.decoder.enlarged(texture), shape, motion

    def decoded(self, encoded: Encoded, factor: Array) -> Array:
        """The frames [b, h, w, 3], each by its factor."""
        texture, shape, motion = encoded
        return self.decoder(texture, self.manipulator(shape, motion, factor))

    @typed
    def sweep(
        self,
        onset: Float[Array, "b h w 3"],
        frames: Float[Array, "b t h w 3"],
        factors: Float[Array, " k"],
    ) -> Float[Array, "b t k h w 3"]:
        """Every frame by every factor: what depends on no factor is made once a frame,
        and the onset is encoded once a clip.

        Of 11 frames of 224 pixels by 9 factors, 1,001 instead of 1,349 billion
        multiplications.
        """
        _check(onset)
        b, t, h, w, _ = frames.shape
        k = len(factors)
        before = jnp.repeat(self.encoder(onset)[1], t, axis=0)
        encoded = self.encoded(before, frames.reshape(b * t, h, w, 3))
        many = jax.tree.map(lambda x: jnp.repeat(x, k, axis=0), encoded)
        made = self.decoded(many, jnp.tile(factors, b * t)).astype(jnp.float32)
        return made.reshape(b, t, k, h, w, 3)


def doubled(x: Array) -> Array:
    """Twice the height and width, every pixel 2 x 2 times."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def _check(frames: Array) -> None:
    sides = frames.shape[1:3]
    if any(side % MULTIPLE or side < LEAST for side in sides):
        raise ValueError(
            f"sides of {frames.shape} must be multiples of {MULTIPLE}, {LEAST} or more"
        )
