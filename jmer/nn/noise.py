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
    blocks = -(-size // each)
    shape = *before, blocks, *after
    halves = jnp.stack(_blocks(key, shape, _places(shape)), axis + 1)
    shifts = jnp.arange(0, 32, bits, dtype=jnp.uint32)
    shifts = lax.broadcast_in_dim(shifts, (each // 2,) + (1,) * len(after), (0,))
    pieces = jnp.expand_dims(halves, axis + 2) >> shifts
    pieces = pieces & jnp.uint32(2**bits - 1)
    pieces = pieces.reshape(*before, blocks * each, *after)
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
    wider = list(shape)
    if room is not None:
        wider[1] = room
    before, size, after = wider[:axis], wider[axis], wider[axis + 1 :]
    on_tpu, blocks = current() == "tpu", -(-size // each)
    word = jnp.uint32 if on_tpu else jnp.uint8  # TPUs have no small ones
    # How many blocks have their bits in one word.
    shared = 2 if not on_tpu and each == 4 and blocks % 2 == 0 else 1
    # Blocks are numbered as without room.
    drawn = *shape[:axis], -(-shape[axis] // each), *shape[axis + 1 :]
    places = _places((*before, blocks // shared, *after))
    words: Array = jnp.uint32(0)
    for i in range(shared):
        at = [n * shared + i if a == axis else n for a, n in enumerate(places)]
        halves = _blocks(key, drawn, at)
        for j in range(each):
            half, shift = divmod(j * bits, 32)
            piece = (halves[half] >> shift) & jnp.uint32(2**bits - 1)
            words |= (piece >= lowest).astype(jnp.uint32) << (i * each + j)
    words = lax.optimization_barrier(words.astype(word))
    bit = word(1) << jnp.arange(shared * each, dtype=word)
    bit = lax.broadcast_in_dim(bit, (len(bit),) + (1,) * len(after), (0,))
    found = (jnp.expand_dims(words, axis + 1) & bit) != 0
    found = found.reshape(*before, blocks * each, *after)
    return lax.slice_in_dim(found, 0, size, axis=axis)


def _axis(shape: Sequence[int], bits: int) -> int:
    """Along which the integers of a block lie."""
    # One that is no lane, and whose choice is the same for any number of clips: a
    # clip's values do not depend on how many come after it.
    each = 64 // bits
    return next((i for i, n in enumerate(shape[1:-1], 1) if n % each == 0), 0)


def _places(shape: Sequence[int]) -> list[Array]:
    """Indices along each axis."""
    return [lax.broadcasted_iota(jnp.uint32, shape, a) for a in range(len(shape))]


def _blocks(
    key: PRNGKeyArray, shape: Sequence[int], at: Sequence[Array]
) -> tuple[Array, Array]:
    """The two halves of the blocks of an array of `shape` that are at some places."""
    count = jnp.zeros(at[0].shape, jnp.uint32)
    for axis, index in enumerate(at):
        count += jnp.uint32(math.prod(shape[axis + 1 :])) * index
    first, second = jax.random.key_data(key)
    halves: list[Array] = threefry2x32_p.bind(
        first, second, jnp.zeros_like(count), count
    )
    return halves[0], halves[1]
