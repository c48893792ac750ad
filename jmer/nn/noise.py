"""Random integers, as many from a block of Threefry as fit in it."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import threefry2x32_p

from jmer.arrays import Array, PRNGKeyArray
from jmer.nn.lowering.choice import current


def integers(key: PRNGKeyArray, shape: Sequence[int], bits: int) -> Array:
    """Uniform integers of 8, 16 or 32 random bits, as uint32.

    `jax.random.bits` takes a block of 64 bits for each, whatever its width, and blocks
    are most of what dropout costs. Salmon et al. 2011, Parallel random numbers.
    """
    each, axis = 64 // bits, _axis(shape, bits)
    before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
    shape = *before, -(-size // each), *after
    halves = jnp.stack(_blocks(key, _places(shape)), axis + 1)
    shifts = jnp.arange(0, 32, bits, dtype=jnp.uint32)
    shifts = lax.broadcast_in_dim(shifts, (each // 2,) + (1,) * len(after), (0,))
    pieces = jnp.expand_dims(halves, axis + 2) >> shifts
    pieces = (pieces & jnp.uint32(2**bits - 1)).reshape(*before, -1, *after)
    return lax.slice_in_dim(pieces, 0, size, axis=axis)


def at_least(
    key: PRNGKeyArray,
    shape: Sequence[int],
    bits: int,
    lowest: int,
    room: int | None = None,
) -> Array:
    """Which of the same integers are `lowest` or more, for an accelerator: of a block
    it keeps a bit for each, instead of writing and reading all of them, or of making
    the block anew wherever a bit is used.

    With `room` for more along the second axis than `shape` has, what is there is any.
    """
    each, axis = 64 // bits, _axis(shape, bits)
    blocks = _blocks_of(shape, each, axis)
    wider = list(shape)
    if room is not None:
        wider[1] = room
    before, size, after = wider[:axis], wider[axis], wider[axis + 1 :]
    word = jnp.uint32 if current() == "tpu" else jnp.uint8  # TPUs have no small ones
    made = _blocks_of(wider, each, axis)
    together = 1  # blocks of a word
    if current() != "tpu" and made[axis] % 2 == 0 and 2 * each <= 8:
        together = 2
    words: Array = jnp.uint32(0)
    for i in range(together):
        halves = _blocks(key, _places(blocks, made, (axis, i, together)))
        for j in range(each):
            half, shift = divmod(j * bits, 32)
            piece = (halves[half] >> shift) & jnp.uint32(2**bits - 1)
            words |= (piece >= lowest).astype(jnp.uint32) << (i * each + j)
    words = lax.optimization_barrier(words.astype(word))
    bit = word(1) << jnp.arange(together * each, dtype=word)
    bit = lax.broadcast_in_dim(bit, (len(bit),) + (1,) * len(after), (0,))
    found = (jnp.expand_dims(words, axis + 1) & bit) != 0
    return lax.slice_in_dim(found.reshape(*before, -1, *after), 0, size, axis=axis)


def _axis(shape: Sequence[int], bits: int) -> int:
    """Along which the integers of a block lie."""
    # One that is no lane, and whose choice is the same for any number of clips: a
    # clip's values do not depend on how many come after it.
    each = 64 // bits
    return next((i for i, n in enumerate(shape[1:-1], 1) if n % each == 0), 0)


def _blocks_of(shape: Sequence[int], each: int, axis: int) -> tuple[int, ...]:
    """How many blocks have the integers of `shape`, `each` of them along an axis."""
    return *shape[:axis], -(-shape[axis] // each), *shape[axis + 1 :]


def _places(
    shape: Sequence[int],
    made: Sequence[int] | None = None,
    every: tuple[int, int, int] = (0, 0, 1),
) -> Array:
    """Places in an array of `shape`, counted along its rows, of those at the start of
    each axis, as many as `made` says; of one axis every n-th, from the m-th on."""
    made = list(shape if made is None else made)
    which, start, step = every
    made[which] //= step
    count = jnp.zeros(made, jnp.uint32)
    for axis in range(len(shape)):
        index = lax.broadcasted_iota(jnp.uint32, made, axis)
        if axis == which and step > 1:
            index = index * jnp.uint32(step) + jnp.uint32(start)
        count += jnp.uint32(math.prod(shape[axis + 1 :])) * index
    return count


def _blocks(key: PRNGKeyArray, count: Array) -> tuple[Array, Array]:
    """The two halves of the block of each number."""
    first, second = jax.random.key_data(key)
    halves: list[Array] = threefry2x32_p.bind(
        first, second, jnp.zeros_like(count), count
    )
    return halves[0], halves[1]
