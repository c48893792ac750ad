"""Images moved by flow, their derivatives, and medians."""

import jax.numpy as jnp

from jmer.arrays import Array, Float, typed

SLOPE = -0.5  # of the cubic kernel at 1: Keys 1981, exact for parabolas


@typed
def warped(
    image: Float[Array, "n h w"], flow: Float[Array, "2 n h w"], *, cubic: bool
) -> Float[Array, "n h w"]:
    """What `image` shows where `flow` points to, between the nearest 2 x 2 or, if
    `cubic`, 4 x 4 pixels; outside, the nearest edge."""
    n, height, width = image.shape
    border = 1 if cubic else 0
    padding = ((0, 0), (border, border + 1), (border, border + 1))
    padded = jnp.pad(image, padding, mode="edge")
    wide = padded.shape[2]
    x = jnp.clip(flow[0] + jnp.arange(width, dtype=flow.dtype), 0, width - 1)
    y = jnp.clip(flow[1] + jnp.arange(height, dtype=flow.dtype)[:, None], 0, height - 1)
    left, top = jnp.floor(x), jnp.floor(y)
    # The first of the pixels that take part, counted along all of an image.
    corner = (top * wide + left).astype(jnp.int32).reshape(n, -1)
    flat = padded.reshape(n, -1)
    across, along = (_weights(part, cubic) for part in (x - left, y - top))

    def seen(offset: int) -> Array:
        at = corner + offset
        found = jnp.take_along_axis(flat, at, axis=1, mode="promise_in_bounds")
        return found.reshape(n, height, width)

    rows = [
        sum(weight * seen(i * wide + j) for j, weight in enumerate(across))
        for i in range(len(along))
    ]
    return jnp.asarray(sum(w * row for w, row in zip(along, rows, strict=True)))


def _weights(share: Array, cubic: bool) -> list[Array]:
    """Of the pixels around a point that lies `share` beyond the one before it."""
    if not cubic:
        return [1 - share, share]

    def near(t: Array) -> Array:
        return ((SLOPE + 2) * t - (SLOPE + 3)) * t * t + 1

    def far(t: Array) -> Array:
        return SLOPE * (((t - 5) * t + 8) * t - 4)

    return [far(1 + share), near(share), near(1 - share), far(2 - share)]


@typed
def derivatives(
    image: Float[Array, "n h w"], *, cubic: bool
) -> Float[Array, "2 n h w"]:
    """(∂x, ∂y) by central differences: of second order and one-sided at the edges, or,
    if `cubic`, of fourth order with the edges repeated."""
    one = _fourth if cubic else _second
    return jnp.stack([one(image, axis) for axis in (2, 1)])


def _second(image: Array, axis: int) -> Array:
    return jnp.asarray(jnp.gradient(image, axis=axis))


def _fourth(image: Array, axis: int) -> Array:
    padding = [(2, 2) if k == axis else (0, 0) for k in range(3)]
    padded = jnp.pad(image, padding, mode="edge")
    size = image.shape[axis]
    far, near, _, after, beyond = (
        padded[(slice(None),) * axis + (slice(k, k + size),)] for k in range(5)
    )
    return (8 * (after - near) - (beyond - far)) / 12


@typed
def medians(flow: Float[Array, "2 n h w"]) -> Float[Array, "2 n h w"]:
    """Of 3 x 3 pixels, mirrored at the edges."""
    height, width = flow.shape[2:]
    padded = jnp.pad(flow, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="symmetric")
    # The median of nine is that of: the largest of the columns' least, the median of
    # their medians, the least of their largest.
    columns = _sorted(*(padded[:, :, i : i + height] for i in range(3)))
    least, middle, most = (
        [part[..., i : i + width] for i in range(3)] for part in columns
    )
    return _middle(
        jnp.maximum(jnp.maximum(*least[:2]), least[2]),
        _middle(*middle),
        jnp.minimum(jnp.minimum(*most[:2]), most[2]),
    )


def _middle(a: Array, b: Array, c: Array) -> Array:
    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    return jnp.maximum(low, jnp.minimum(high, c))


def _sorted(a: Array, b: Array, c: Array) -> tuple[Array, Array, Array]:
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    b, c = jnp.minimum(b, c), jnp.maximum(b, c)
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    return a, b, c
