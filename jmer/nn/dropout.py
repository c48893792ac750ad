"""Dropout with few random bits."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jmer.arrays import Array, Float, PRNGKeyArray, typed
from jmer.nn.lowering.choice import current
from jmer.nn.noise import at_least, integers
from jmer.nn.tokens import first_of

_part: ContextVar[tuple[Array | int, int]] = ContextVar("part", default=(0, 1))


@contextlib.contextmanager
def use_part(index: Array | int, count: int) -> Iterator[None]:
    """Arrays inside are part `index` of `count` equal parts of a batch, along their
    first axis, and lose the elements that they would lose in the whole."""
    token = _part.set((index, count))
    try:
        yield
    finally:
        _part.reset(token)


@typed
def dropout(
    x: Float[Array, "..."],
    rate: float,
    key: PRNGKeyArray | None,
    count: int | None = None,
) -> Float[Array, "..."]:
    """Zeroes elements with probability `rate` and scales the rest to keep the mean.

    The rate is rounded to a multiple of 1/65536 (of 1/256 where that is exact, which
    takes half the random bits). No key means no dropout. Srivastava et al. 2014. Where
    the second axis has no more than `count` values, those after them are any.

    Raises: ValueError if `rate` is outside [0, 1), or `count` no number of them.
    """
    keep = kept(x.shape, rate, key, count)
    return x if keep is None else jnp.where(keep, x * kept_scale(rate), 0)


def kept(
    shape: Sequence[int],
    rate: float,
    key: PRNGKeyArray | None,
    count: int | None = None,
) -> Array | None:
    """Which elements dropout keeps; None where it keeps all."""
    if _is_none(rate) or key is None:
        return None
    levels, dropped = _threshold(rate)
    return _kept(key, shape, count, _bits(_word(levels)), dropped)


def _kept(
    key: PRNGKeyArray, shape: Sequence[int], count: int | None, bits: int, dropped: int
) -> Array:
    index, parts = _part.get()
    whole, room = (shape[0] * parts, *shape[1:]) if parts > 1 else shape, None
    if count is not None:
        room = whole[1]
        whole = whole[0], first_of(room, count), *whole[2:]
    if current() == "patches":
        keep = integers(key, whole, bits) >= dropped
        if room is not None:
            rest = [(0, 0)] * keep.ndim
            rest[1] = 0, room - whole[1]
            keep = jnp.pad(keep, rest)
    else:
        keep = at_least(key, whole, bits, dropped, room)
    if parts == 1:
        return keep
    return jax.lax.dynamic_slice_in_dim(keep, index * shape[0], shape[0])


def keep_words(
    key: PRNGKeyArray | None,
    shape: Sequence[int],
    elements: int,
    rate: float,
    *,
    turned: bool = False,
) -> Array:
    """Unsigned integers of `shape` whose lowest `elements` bits say which are kept.

    The same dropout as above for arrays that hold `elements` (up to 32) values in one
    place. At a rate of one half each takes a single random bit. `turned`: with the axes
    in reverse, the same integers.
    """
    word = next(t for t in (jnp.uint8, jnp.uint16, jnp.uint32) if _bits(t) >= elements)
    if _is_none(rate) or key is None:
        return jnp.full(shape[::-1] if turned else shape, 2**elements - 1, word)
    if rate == 0.5:
        return _coins(key, shape, elements, turned).astype(word)
    levels, dropped = _threshold(rate)
    noise = jax.random.bits(key, (elements, *shape), _word(levels))
    words = jnp.zeros(shape, word)
    for i in range(elements):
        words = words | ((noise[i] >= dropped).astype(word) << i)
    return words.T if turned else words


def _coins(key: PRNGKeyArray, shape: Sequence[int], count: int, turned: bool) -> Array:
    """Integers of `shape` with `count` random bits each, as many from a word as fit."""
    each = 32 // count
    size = math.prod(shape)
    words = jax.random.bits(key, (-(-size // each), 1), jnp.uint32)
    shifts = jnp.arange(each, dtype=jnp.uint32) * count
    if turned and shape[-1] % each == 0:
        # Words are turned before they are taken apart: an eighth of the integers.
        words = words.reshape(*shape[:-1], -1).T.reshape(shape[-1] // each, 1, -1)
        parts = words >> shifts[:, None]
        return (parts & jnp.uint32(2**count - 1)).reshape(shape[::-1])
    parts = (words >> shifts) & jnp.uint32(2**count - 1)
    coins = parts.reshape(-1)[:size].reshape(shape)
    return coins.T if turned else coins


def kept_scale(rate: float) -> float:
    """What kept values are multiplied by, so that the mean stays."""
    if _is_none(rate):
        return 1.0
    levels, dropped = _threshold(rate)
    return levels / (levels - dropped)


def _is_none(rate: float) -> bool:
    if not 0 <= rate < 1:
        raise ValueError(f"{rate=} must be at least 0 and below 1")
    return rate == 0


def _threshold(rate: float) -> tuple[int, int]:
    """How many values a random number has, and how many of them mean dropped."""
    levels = 2**8 if (rate * 2**8).is_integer() else 2**16
    return levels, min(round(rate * levels), levels - 1)


def _word(levels: int) -> DTypeLike:
    return jnp.uint8 if levels == 2**8 else jnp.uint16


def _bits(dtype: DTypeLike) -> int:
    return jnp.iinfo(dtype).bits
