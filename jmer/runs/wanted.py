"""Arrays that a network is called with, held to the shapes that it takes."""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jmer.errors import JmerError, UsageError
from jmer.models.base import NetworkConfig
from jmer.text import did_you_mean

Shapes = Mapping[str, tuple[int, ...]]
"""Of one clip, by the names of features."""


def as_inputs(
    config: NetworkConfig, arrays: Sequence[Any], named: Mapping[str, Any]
) -> dict[str, jax.Array]:
    """Clips in order or by name, as the network's inputs, in the types that they have.

    Raises: UsageError, with the shapes that are wanted, for others: of another number,
    name or shape, of no numbers, of no clip, or with values that are not finite.
    """
    wanted = config.shapes
    for name in named:
        if name not in wanted:
            raise UsageError(
                f"{config.name} has no input {name!r}{did_you_mean(name, wanted)}: "
                f"{_words(wanted)}."
            )
    given = {**dict(zip(wanted, arrays, strict=False)), **named}
    if len(arrays) + len(named) != len(wanted) or given.keys() != wanted.keys():
        raise UsageError(
            f"{config.name} got {len(arrays) + len(named)} arrays: {_words(wanted)}."
        )
    made = {name: np.asarray(given[name]) for name in wanted}
    sizes = {len(array) if array.ndim else -1 for array in made.values()}
    if len(sizes) > 1 or not _fits(wanted, made) or 0 in sizes:
        raise UsageError(f"{config.name} got {_found(made)}: {_words(wanted)}.")
    for name, array in made.items():
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise UsageError(
                f"{name} of {config.name} must be finite numbers, and has values that "
                f"are none: {_found(made)}."
            )
    return {name: jnp.asarray(array) for name, array in made.items()}


def telling(model: nnx.Module, config: NetworkConfig) -> nnx.Module:
    """The same module; called with arrays that it cannot take, it names the shapes that
    it can."""
    with contextlib.suppress(TypeError):  # of a configuration that cannot be hashed
        model.__class__ = _telling(type(model), config)
    return model


@functools.lru_cache(maxsize=64)
def _telling(kind: type, config: NetworkConfig) -> type:
    class Telling(kind):  # type: ignore[misc]
        def __call__(self, *arrays: Any, **options: Any) -> Any:
            try:
                return super().__call__(*arrays, **options)
            except Exception as error:
                if (text := _mistaken(config, arrays)) is None:
                    raise
                raise UsageError(text) from error

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Telling, name, getattr(kind, name))
    return Telling


def _mistaken(config: NetworkConfig, arrays: Sequence[Any]) -> str | None:
    """What is wrong with the arrays of a call, in words; None if nothing is."""
    try:
        wanted = _seen(config)
        made = dict(zip(wanted, arrays, strict=True))
        if _fits(wanted, made):
            return None
        return f"{config.name} got {_found(made)}: {_words(wanted)}."
    except (AttributeError, TypeError, ValueError, JmerError):
        return None


def _seen(config: NetworkConfig) -> Shapes:
    """What the module itself is called with: of a network with a part that is computed
    once, what that part returns."""
    wanted = config.shapes
    if not config.has_prefix:
        return wanted
    one = {n: jax.ShapeDtypeStruct((1, *s), jnp.uint8) for n, s in wanted.items()}
    seen = jax.eval_shape(config.prefix, one)
    return {name: seen[name].shape[1:] for name in config.inputs}


def _fits(wanted: Shapes, made: Mapping[str, Any]) -> bool:
    return all(array.shape[1:] == wanted[name] for name, array in made.items())


def _words(wanted: Shapes) -> str:
    each = (f"{name} [n, {', '.join(map(str, s))}]" for name, s in wanted.items())
    return f"it takes {' and '.join(each)}, n clips of numbers"


def _found(made: Mapping[str, Any]) -> str:
    each = (f"{n} {list(x.shape)} of {x.dtype}" for n, x in made.items())
    return " and ".join(each)
