"""Layers whose values are made again for the gradients, instead of being kept."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

_chosen: ContextVar[bool] = ContextVar("remat", default=False)

T = TypeVar("T")


@contextlib.contextmanager
def use_remat(on: bool) -> Iterator[None]:
    """Layers called inside keep what comes into them, and nothing else (Chen et al.
    2016), if `on`. It costs the way there once more, and changes no result.
    """
    token = _chosen.set(on)
    try:
        yield
    finally:
        _chosen.reset(token)


def in_use() -> bool:
    """Whether layers called here make their values anew."""
    return _chosen.get()


def layer(module: nnx.Module, call: Callable[..., T], *arrays: Any) -> T:
    """`call(module, *arrays)`, whose inner values are not kept where that is asked for.

    The statistics that it moves are moved. `arrays` may be any trees; what `call` has
    from elsewhere must be no array.
    """
    if not _chosen.get():
        return call(module, *arrays)
    graphdef, state = nnx.split(module)

    def pure(state: nnx.State, arrays: Any) -> tuple[T, nnx.State]:
        with use_remat(False):  # of a layer within a layer, the outer one
            inner = nnx.merge(graphdef, state, copy=True)
            result = call(inner, *arrays)
        return result, nnx.state(inner, nnx.BatchStat)

    result, stats = jax.checkpoint(pure)(state, arrays)
    nnx.update(module, stats)
    return result


def repeated(
    layers: Sequence[nnx.Module], call: Callable[..., T], first: T, each: Sequence[Any]
) -> T:
    """`call(layer, x, item)` of one layer after another, `x` beginning as `first`, in a
    loop: equal layers without statistics, compiled once.

    `each` has an item for every layer, a tree of arrays in which all agree; what else
    layers differ in, apart from their weights, must be in there.
    """
    graphdef = nnx.split(layers[0])[0]
    stacked = _stacked([nnx.split(one)[1] for one in layers])

    def body(x: T, part: Any) -> tuple[T, None]:
        state, item = part
        with use_remat(False):
            return call(nnx.merge(graphdef, state, copy=True), x, item), None

    if _chosen.get():
        body = jax.checkpoint(body, prevent_cse=False)  # a loop keeps them apart
    parts = stacked, _stacked(each)
    return jax.lax.scan(body, first, parts, length=len(layers))[0]


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
