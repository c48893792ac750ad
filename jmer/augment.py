"""Random changes of training clips: pure, keyed, the same on every backend.

Arrays are batches with height, width and channels last; `vectors` says that the
channels are optical flow (u to the right, v down, in pixels), which geometry moves too.
All frames of a clip change alike, and no clip depends on another one of its batch.
Positions are (x, y), whole numbers at the centres of pixels.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp

from jmer import keys
from jmer.arrays import Array, Bool, Float, Int, PRNGKeyArray, Shaped, typed
from jmer.nn.lowering.choice import current

PLACES = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))
"""Where a window lies: top left, top right, bottom left, bottom right, centre."""


@typed
def random_flip(
    x: Shaped[Array, "b *t h w c"], key: PRNGKeyArray, *, vectors: bool = False
) -> Shaped[Array, "b *t h w c"]:
    """Each clip mirrored left to right, or not, with equal probability.

    Of vectors, u changes its sign.
    """
    return mirror(x, jax.random.bernoulli(key, shape=x.shape[:1]), vectors=vectors)


@typed
def mirror(
    x: Shaped[Array, "b *t h w c"], flip: Bool[Array, " b"], *, vectors: bool = False
) -> Shaped[Array, "b *t h w c"]:
    """Each clip mirrored left to right where `flip` says so.

    Of vectors, u changes its sign.
    """
    mirrored = x[..., ::-1, :]
    if vectors:
        mirrored = mirrored * jnp.array([-1, 1], x.dtype)
    return jnp.where(flip.reshape(-1, *(1,) * (x.ndim - 1)), mirrored, x)


def random_corner_crop(
    x: Array,
    key: PRNGKeyArray,
    window: float,
    *,
    scales: Sequence[float] = (1.0,),
    vectors: bool = False,
) -> Array:
    """`corner_crop` with one of the five windows and one of `scales` for each clip.

    Raises: ValueError if the window does not fit into the smallest scale.
    """
    if not 0 < window <= min(scales):
        raise ValueError(f"{window=} must be positive and fit into {scales=}")
    place = jax.random.randint(keys.named(key, "place"), x.shape[:1], 0, len(PLACES))
    which = jax.random.randint(keys.named(key, "scale"), x.shape[:1], 0, len(scales))
    scale = jnp.array(scales, jnp.float32)[which]
    return corner_crop(x, place, window, scale=scale, vectors=vectors)


def random_rotate(
    x: Array, key: PRNGKeyArray, degrees: float, *, vectors: bool = False
) -> Array:
    """`rotate` by an angle from -`degrees` to `degrees` for each clip."""
    angle = jax.random.uniform(key, x.shape[:1], minval=-degrees, maxval=degrees)
    return rotate(x, angle, vectors=vectors)


def random_similarity(
    clips: int,
    size: tuple[int, int],
    key: PRNGKeyArray,
    *,
    degrees: float,
    rescale: float,
    shift: float,
) -> Array:
    """A map for `warp`, [b, 2, 3], for each of `clips` clips of this height and width.

    It turns them about the centre by up to `degrees` either way, scales them by up to
    the share `rescale`, then moves them along each axis by up to `shift` pixels.
    """

    def draw(name: str, most: float, *shape: int) -> Array:
        key_of = keys.named(key, name)
        return jax.random.uniform(key_of, (clips, *shape), minval=-most, maxval=most)

    angle, scale = jnp.radians(draw("angle", degrees)), 1 + draw("scale", rescale)
    cos, sin = jnp.cos(angle) / scale, jnp.sin(angle) / scale
    centre = jnp.array([size[1] - 1, size[0] - 1], jnp.float32) / 2
    # Where the result's centre was moved from has its place at the clip's centre.
    x, y = jnp.moveaxis(centre + draw("shift", shift, 2), -1, 0)
    away = jnp.stack([sin * y - cos * x, -sin * x - cos * y], -1)
    return _affine(cos, -sin, sin, cos, centre + away)


@typed
def corner_crop(
    x: Shaped[Array, "b *t h w c"],
    place: Int[Array, " b"],
    window: float,
    *,
    scale: Float[Array, " b"] | None = None,
    vectors: bool = False,
) -> Float[Array, "b *t h w c"]:
    """Each clip rescaled by `scale`, cut to a window of `window` times its own sides,
    and resized to what it was; `place` is an index of `PLACES`.

    One bilinear interpolation does all three, without rounding the rescaled sides to
    whole pixels. A window larger than `scale` repeats the edge.
    """
    share = jnp.full(x.shape[0], window) if scale is None else window / scale
    size = jnp.array([x.shape[-2], x.shape[-3]], jnp.float32)
    start = jnp.array(PLACES)[place] * size * (1 - share)[:, None]
    shift = start + (share[:, None] - 1) / 2
    if current() in ("tpu", "gpu"):
        y = _stretched(x, share, shift)
        return y / share.reshape(-1, *(1,) * (y.ndim - 1)) if vectors else y
    return warp(x, _affine(share, 0, 0, share, shift), vectors=vectors)


@typed
def rescale(
    x: Shaped[Array, "b *t h w c"], size: tuple[int, int], *, vectors: bool = False
) -> Float[Array, "b *t i j c"]:
    """Clips of another height and width, `size`; bilinear, not smoothed when smaller.

    Vectors are multiplied by the ratio of their axis.
    """
    across, down = x.shape[-2] / size[1], x.shape[-3] / size[0]
    shift = jnp.array([(across - 1) / 2, (down - 1) / 2])
    matrix = _affine(across, 0, 0, down, shift[None])
    matrix = jnp.broadcast_to(matrix, (x.shape[0], 2, 3))
    return warp(x, matrix, size=size, vectors=vectors)


@typed
def rotate(
    x: Shaped[Array, "b *t h w c"], angle: Float[Array, " b"], *, vectors: bool = False
) -> Float[Array, "b *t h w c"]:
    """Each clip turned about its centre by `angle` degrees, against the clock as seen.

    What was outside repeats the edge.
    """
    cos, sin = jnp.cos(jnp.radians(angle)), jnp.sin(jnp.radians(angle))
    x0, y0 = (x.shape[-2] - 1) / 2, (x.shape[-3] - 1) / 2
    shift = jnp.stack([x0 - cos * x0 + sin * y0, y0 - sin * x0 - cos * y0], -1)
    return warp(x, _affine(cos, -sin, sin, cos, shift), vectors=vectors)


@typed
def warp(
    x: Shaped[Array, "b *t h w c"],
    matrix: Float[Array, "b 2 3"],
    *,
    size: tuple[int, int] | None = None,
    vectors: bool = False,
) -> Float[Array, "b *t i j c"]:
    """Each clip seen through an affine map, bilinear, float32.

    `matrix` takes positions (x, y, 1) of the result, of height and width `size` (those
    of `x` unless given), to positions in the clip; beyond the outermost pixel centres
    the edge is repeated, as when PyTorch resizes. Vectors go through the inverse map.
    """
    down, across = size or (x.shape[-3], x.shape[-2])
    column = jnp.tile(jnp.arange(across, dtype=jnp.float32), down)
    row = jnp.repeat(jnp.arange(down, dtype=jnp.float32), across)
    # Element by element: a matrix product may round positions to ten bits on a GPU.
    place = matrix[..., 0:1] * column + matrix[..., 1:2] * row + matrix[..., 2:3]
    y = jax.vmap(_sample)(x.astype(jnp.float32), place)
    y = y.reshape(*y.shape[:-2], down, across, y.shape[-1])
    return _through_inverse(y, matrix) if vectors else y


Deviation = Literal["channel", "sample"]


@typed
def normalise_clip(
    x: Shaped[Array, "b *t h w c"], deviation: Deviation = "channel"
) -> Float[Array, "b *t h w c"]:
    """Each channel of each clip with mean 0 over its pixels, divided by its own
    standard deviation, or by that of all pixels and channels of the clip (`sample`)
    about those means.

    What varies less than float32 resolves becomes 0.
    """
    if current() == "tpu":
        return _normalised_rows(x, deviation)
    x = x.astype(jnp.float32)
    pixels = tuple(range(1, x.ndim - 1))
    # Twice: the first mean of many large values is itself rounded.
    centred = x - x.mean(pixels, keepdims=True)
    centred = centred - centred.mean(pixels, keepdims=True)
    over = pixels if deviation == "channel" else tuple(range(1, x.ndim))
    spread = jnp.sqrt(jnp.square(centred).mean(over, keepdims=True))
    varies = spread > 1e-6 * jnp.abs(x).max(over, keepdims=True)
    return jnp.where(varies, centred / jnp.where(varies, spread, 1), 0)


def _normalised_rows(x: Array, deviation: Deviation) -> Array:
    """`normalise_clip` of pixels in rows with their channels, three of which would have
    128 lanes of a TPU to themselves."""
    *outer, width, channels = x.shape
    rows = x.reshape(len(x), -1, width * channels).astype(jnp.float32)
    over = 1 if deviation == "channel" else (1, 2)

    def spread(value: Array) -> Array:
        """[b, 1, row] of a number for each channel, or for all."""
        value = jnp.broadcast_to(value, (len(x), 1, width, channels))
        return value.reshape(len(x), 1, -1)

    def of_pixels(value: Array) -> Array:
        return value.reshape(len(x), width, channels)

    def mean(rows: Array, over: int | tuple[int, int] = 1) -> Array:
        value = of_pixels(rows.mean(1)).mean(over)
        return spread(value.reshape(len(x), 1, 1, -1))

    centred = rows - mean(rows)
    centred = centred - mean(centred)
    deviations = jnp.sqrt(mean(jnp.square(centred), over))
    largest = of_pixels(jnp.abs(rows).max(1)).max(over)
    varies = deviations > 1e-6 * spread(largest.reshape(len(x), 1, 1, -1))
    made = jnp.where(varies, centred / jnp.where(varies, deviations, 1), 0)
    return made.reshape(*outer, width, channels)


def _affine(
    a: Array | float, b: Array | float, c: Array | float, d: Array | float, shift: Array
) -> Array:
    """[b, 2, 3] of the rows (a, b) and (c, d), numbers or [b], and `shift` [b, 2]."""
    n = shift.shape[0]
    parts = [jnp.broadcast_to(jnp.float32(part), (n,)) for part in (a, b, c, d)]
    linear = jnp.stack(parts, -1).reshape(n, 2, 2)
    return jnp.concatenate([linear, shift[..., None]], -1)


def _stretched(x: Array, share: Array, shift: Array) -> Array:
    """`warp` by `share` [b] and `shift` [b, 2] along the axes, as products with the
    weights of rows and of columns: accelerators gather pixels slowly. Neighbouring
    channels stay together until the end, since two of them fill no lanes.
    """
    b, *_, height, width, channels = x.shape
    # No less exact than the network's products, which come next. In plain float32 an
    # H200 spent a twenty-fifth of a step of STANet here.
    exact = jax.lax.Precision.HIGH

    def weights(size: int, start: Array, beside: int = 1) -> Array:
        """[b, result, pixel], each of them with its channels if there are some."""
        number = jnp.arange(size * beside)
        pixel = (number // beside).astype(jnp.float32)
        place = jnp.clip(share[:, None] * pixel + start[:, None], 0, size - 1)
        near = jnp.maximum(1 - jnp.abs(place[..., None] - pixel), 0)
        return jnp.where((number[:, None] - number) % beside == 0, near, 0)

    across = weights(width, shift[:, 0], channels)
    rows = x.reshape(b, -1, width * channels).astype(jnp.float32)
    y = jnp.einsum("bnk,bmk->bnm", rows, across, precision=exact)
    y = y.reshape(b, -1, height, width * channels)
    down = weights(height, shift[:, 1])
    y = jnp.einsum("bih,bthk->btik", down, y, precision=exact)
    return y.reshape(x.shape)


def _sample(clip: Array, place: Array) -> Array:
    """[*t, n, c] of `clip` [*t, h, w, c] at `place` [2, n]."""
    *time, height, width, channels = clip.shape
    pixels = clip.reshape(*time, height * width, channels)
    x, y = jnp.clip(place[0], 0, width - 1), jnp.clip(place[1], 0, height - 1)
    left, top = jnp.floor(x), jnp.floor(y)

    def at(row: Array, column: Array) -> Array:
        inside = jnp.minimum(row, height - 1) * width + jnp.minimum(column, width - 1)
        return jnp.take(pixels, inside.astype(jnp.int32), axis=-2, mode="clip")

    east, south = (x - left)[:, None], (y - top)[:, None]
    upper = (1 - east) * at(top, left) + east * at(top, left + 1)
    lower = (1 - east) * at(top + 1, left) + east * at(top + 1, left + 1)
    return (1 - south) * upper + south * lower


def _through_inverse(flow: Array, matrix: Array) -> Array:
    """`flow` [b, ..., 2] through the inverse of the linear part of `matrix`."""
    a, b, c, d = (
        matrix[:, i, j].reshape(-1, *(1,) * (flow.ndim - 2))
        for i in range(2)
        for j in range(2)
    )
    u, v = flow[..., 0], flow[..., 1]
    scale = 1 / (a * d - b * c)
    return jnp.stack([scale * (d * u - b * v), scale * (a * v - c * u)], -1)
