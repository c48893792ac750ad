"""Images of one clip, magnified one by one: each the same, whichever else is wanted."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jmer.arrays import Array, Float, Shaped, typed
from jmer.magnet.magnify import HALF, resized
from jmer.magnet.network import Magnet

Part = tuple[int, float]
"""The number of a frame, from 0, and a factor that it is magnified by."""
Encode = Callable[[Array], Any]
"""Of a frame [h, w, 3], what no factor changes."""
Decode = Callable[[Any, Array], Array]
"""Of that and a factor, the image [h, w, 3]."""


@typed
def each_image(
    network: Magnet | None,
    frames: Shaped[Array, "t h w 3"],
    parts: Sequence[Part],
    what: Callable[[Array], Array],
    *,
    size: int | None = None,
) -> Float[Array, "m ..."]:
    """`what` of each frame of a clip by each factor that `parts` name, as pixels
    [h, w, 3] of 0 to 255; their motion is that since the first frame.

    By the network, at squares of `size` pixels if one is given; without a network as
    `magnify.linear` has it. One image after another, so that an image has the same bits
    whichever others are made; a frame is encoded once.
    """
    used = sorted({frame for frame, _ in parts})
    place = np.array([used.index(frame) for frame, _ in parts])
    factors = np.array([factor for _, factor in parts], np.float32)
    onset = frames[0].astype(jnp.float32)
    if network is None:
        encode, decode = _linear(onset)
    else:
        encode, decode = _learned(network, onset, size)

    def one(part: tuple[Array, Array]) -> Array:
        mine = jax.tree.map(lambda value: value[part[0]], encoded)
        return what(jnp.clip(decode(mine, part[1]), 0, 255))

    encoded = _in_turn(encode, frames[np.array(used)])
    return _in_turn(one, (jnp.asarray(place), jnp.asarray(factors)))


def _in_turn(function: Callable[[Any], Any], values: Any) -> Any:
    """`lax.map`, of which a compiler does not know how often it goes round: it would
    make another program of a single time."""
    count = len(jax.tree.leaves(values)[0])
    shapes = jax.eval_shape(function, jax.tree.map(lambda value: value[0], values))
    start = jax.tree.map(lambda s: jnp.zeros((count, *s.shape), s.dtype), shapes)

    def body(i: Array, made: Any) -> Any:
        result = function(jax.tree.map(lambda value: value[i], values))
        return jax.tree.map(lambda all_, one: all_.at[i].set(one), made, result)

    return lax.fori_loop(0, lax.optimization_barrier(jnp.int32(count)), body, start)


def _linear(onset: Array) -> tuple[Encode, Decode]:
    def decode(frame: Array, factor: Array) -> Array:
        return onset + factor * (frame - onset)

    return lambda frame: frame.astype(jnp.float32), decode


def _learned(network: Magnet, onset: Array, size: int | None) -> tuple[Encode, Decode]:
    sides: tuple[int, int] = (onset.shape[0], onset.shape[1])
    seen = sides if size is None else (size, size)

    def normal(frame: Array) -> Array:
        return resized(frame.astype(jnp.float32)[None], seen) / HALF - 1

    with jax.default_matmul_precision("float32"):
        before = network.encoder(normal(onset))[1]

    def encode(frame: Array) -> Any:
        with jax.default_matmul_precision("float32"):
            return network.encoded(before, normal(frame))

    def decode(encoded: Any, factor: Array) -> Array:
        with jax.default_matmul_precision("float32"):
            made = network.decoded(encoded, factor[None]).astype(jnp.float32)
        return resized((made + 1) * HALF, sides)[0]

    return encode, decode
