"""Random keys derived by name, so that no number depends on its position."""

import hashlib

import jax

from jmer.arrays import Array, PRNGKeyArray
from jmer.errors import MOST_SEED, UsageError, is_whole


def name_code(name: str) -> int:
    """A 32-bit code of a name, the same in every process and Python version.

    >>> name_code("sub01")
    951554359
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")


def named(key: PRNGKeyArray, *names: str | int | Array) -> PRNGKeyArray:
    """`key` with each name folded in: purposes and subjects as text, steps as numbers.

    A subject's name, not its position among the folds, keeps a task's numbers the
    same when other folds are added, left out or trained elsewhere.
    """
    for name in names:
        key = jax.random.fold_in(
            key, name_code(name) if isinstance(name, str) else name
        )
    return key


def within(key: PRNGKeyArray | None, *names: str | int | Array) -> PRNGKeyArray | None:
    """`named`, for keys that may be missing: no key means that nothing is random."""
    return None if key is None else named(key, *names)


def seed_key(seed: int) -> PRNGKeyArray:
    """The root key of one seed.

    Raises: UsageError for one that JAX would take for another.
    """
    if not is_whole(seed, 0, MOST_SEED):
        raise UsageError(f"seed={seed} must be a whole number from 0 to {MOST_SEED}")
    # By name: a user's JAX may be set to make keys of another kind.
    return jax.random.key(seed, impl="threefry2x32")
