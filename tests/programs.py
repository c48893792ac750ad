"""What a network does, as one value: two that agree in it give the same numbers."""

import contextlib
import dataclasses
import re
import typing
from collections.abc import Hashable, Iterator
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.interpreters.partial_eval import dce_jaxpr

from jmer import trees
from jmer.errors import UsageError
from jmer.models.base import NetworkConfig
from jmer.nn import use_lowering

CLIPS, CLASSES = 2, 3
ADDRESS = re.compile("0x[0-9a-f]+")


def program(network: NetworkConfig) -> Hashable:
    """The operations from a seed and clips to fresh weights, the loss of changed clips
    and what is shown of clips, with all constants; and what else the engine asks."""

    def whole(seed: Any, inputs: Any, label: Any, weight: Any, version: Any) -> Any:
        key = jax.random.wrap_key_data(seed)
        rngs = nnx.Rngs(params=key)
        model = network.build(CLASSES, dtype=jnp.float32, rngs=rngs)
        fresh = nnx.to_pure_dict(nnx.state(model))
        seen = network.augment(network.prefix(inputs), key, version)
        loss = network.loss(model, seen, label, weight=weight, key=key)
        shown = network.predict if network.fitted else network.explain
        return fresh, loss, nnx.to_pure_dict(nnx.state(model)), shown(model, inputs)

    def array(dtype: Any, *shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    shapes = network.shapes.items()
    inputs = {name: array(jnp.float32, CLIPS, *shape) for name, shape in shapes}
    given = (
        *(array(jnp.uint32, 2), inputs, array(jnp.int32, CLIPS)),
        *(array(jnp.float32, CLIPS), array(jnp.int32, CLIPS)),
    )
    with use_lowering("backend"):
        made, out = jax.make_jaxpr(whole, return_shape=True)(*given)
    places = [trees.path_name(p) for p, _ in jax.tree_util.tree_leaves_with_path(out)]
    weights = [tuple(place.split(".")[1:]) for place in places if place[:2] == "0."]
    live, used = dce_jaxpr(made.jaxpr, [True] * len(made.jaxpr.outvars))
    return (
        (ADDRESS.sub("", str(live)), *used),
        *(np.asarray(value).tobytes() for value in made.consts),
        *(network.inputs, network.input_shapes, network.versions, network.clips_apart),
        *((path, network.frozen(path), network.layers_above(path)) for path in weights),
        (str(out), network.has_prefix),
    )


def others(config: Any, name: str) -> Iterator[Any]:
    """Configurations that differ in that field alone, as far as they can be."""
    kind, now = typing.get_type_hints(type(config))[name], getattr(config, name)
    # Of fields that are text, or may be None.
    values: tuple[Any, ...] = (8, 0.25, "mean", "single:5")
    if typing.get_origin(kind) is Literal:
        values = typing.get_args(kind)
    elif isinstance(now, bool):
        values = (not now,)
    elif isinstance(now, int | float):
        values = (2 * now or 20, now + 1, now - 1, now / 2 + 0.01)
        values = values[:3] if isinstance(now, int) else values[3:]
    elif isinstance(now, tuple):
        values = (tuple(2 * value for value in now), now[:-1], (*now, *now[-1:]))
    for value in [value for value in values if value != now]:
        with contextlib.suppress(UsageError, TypeError, LookupError, AttributeError):
            yield dataclasses.replace(config, **{name: value})
