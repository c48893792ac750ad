"""The programs of a trained network, for every platform and batches of any size."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export

from jmer.bundle.layout import FEATURES, LOGITS, NETWORK, ArraySpec, ProgramSpec
from jmer.bundle.program import Arrays, Program, exported
from jmer.errors import JmerError
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.lowering.choice import use_lowering
from jmer.runs.weights import Weights
from jmer.scores.labels import UNITS
from jmer.train.checkpoint import unflatten
from jmer.train.numerics import pinned

Specs = tuple[ArraySpec, ...]
INTENSITY = "intensity"
"""What some networks learn from a data set, and tell of clips that have none."""


@dataclasses.dataclass(frozen=True)
class Programs:
    """What a bundle calls one after another, and what it hands to the first."""

    inputs: Specs
    made: Mapping[str, export.Exported]
    specs: Mapping[str, ProgramSpec]
    functions: Mapping[str, Program]
    """The same as functions of JAX, for other formats."""


def programs_of(weights: Weights, stored: Mapping[str, np.dtype]) -> Programs:
    """Of a network with its frozen part, whose inputs are stored in these types.

    A program sees one clip, and JAX maps it over the batch: so no layer needs to know
    its size. Layers become the library's operations as they are written
    (`use_lowering("backend")`), which every platform has; the values are those of other
    lowerings, to rounding.

    Raises: JmerError if the network cannot be built, or JAX cannot export it, naming
    the operation.
    """
    network = weights.config
    one = {path: jnp.asarray(value[0]) for path, value in weights.arrays.items()}
    inputs = tuple(
        ArraySpec(name, tuple(shape), str(stored[name]))
        for name, shape in zip(network.inputs, network.input_shapes, strict=True)
    )
    functions: dict[str, Program] = {}
    made: dict[str, export.Exported] = {}
    specs: dict[str, ProgramSpec] = {}

    def add(name: str, function: Program, arrays: Arrays, seen: Specs) -> None:
        functions[name] = function
        made[name] = _export(network, function, arrays, seen)
        convention = made[name].calling_convention_version
        specs[name] = ProgramSpec(name, seen, _given(made[name]), convention)

    seen = inputs
    if network.has_prefix:
        add(FEATURES, _whole_batch(lambda _, clips: network.prefix(clips)), {}, inputs)
        given = {spec.name: spec for spec in specs[FEATURES].gives}
        # What the network sees, in its order; a baseline has features instead.
        named = [name for name in network.inputs if name in given]
        seen = tuple(given[name] for name in named or given)
    function = network_of(weights)
    used = _used(function, one, seen)
    if used != seen:
        function = _with_unused(function, seen, used)
    add(NETWORK, function, one, used)
    return Programs(inputs if network.has_prefix else used, made, specs, functions)


def network_of(weights: Weights) -> Program:
    """What training trained: logits [b, classes], and the intensity of frames where it
    tells that."""
    network, (graphdef, states) = weights.config, weights.states()
    ask = network.apply_units if weights.kind is UNITS else network.apply
    template = {"params": states[0], "stats": states[1]}
    single = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), template
    )

    def of_clips(arrays: Arrays, seen: Inputs) -> Arrays:
        state = unflatten(single, arrays, weights.file)
        model = nnx.merge(graphdef, state["params"], state["stats"])
        made = {LOGITS: ask(model, seen, train=False)}
        if INTENSITY in network.inputs and not network.has_prefix:
            _, shown = network.explain(model, seen)
            made |= {INTENSITY: shown[INTENSITY]} if INTENSITY in shown else {}
        return {name: x.astype(jnp.float32) for name, x in made.items()}

    return _whole_batch(of_clips)


def _whole_batch(function: Program) -> Program:
    """The same, a clip at a time for the layers, and all at once for the device."""

    def of_batch(arrays: Arrays, inputs: Arrays) -> Arrays:
        def of_one(clip: Arrays) -> Arrays:
            alone = {name: value[None] for name, value in clip.items()}
            with use_lowering("backend"):
                made = function(arrays, alone)
            return {name: value[0] for name, value in made.items()}

        return jax.vmap(of_one)(dict(inputs))

    return of_batch


def _with_unused(function: Program, all_inputs: Specs, used: Specs) -> Program:
    """The same without inputs that make no difference."""
    left = [spec for spec in all_inputs if spec not in used]

    def of_used(arrays: Arrays, inputs: Arrays) -> Arrays:
        (batch, *_) = inputs[used[0].name].shape
        zeros = {s.name: jnp.zeros((batch, *s.shape), s.dtype) for s in left}
        return function(arrays, {**inputs, **zeros})

    return of_used


def _used(function: Program, arrays: Arrays, inputs: Specs) -> Specs:
    """The inputs that results depend on: some are seen by the loss alone."""
    clips = _clips(inputs)
    with pinned():
        traced = jax.make_jaxpr(lambda clips: function(arrays, clips))(clips).jaxpr
    read = {id(v) for v in traced.outvars}
    for step in reversed(traced.eqns):
        if any(id(v) in read for v in step.outvars):
            read |= {id(v) for v in step.invars}
    names = sorted(clips)  # the order of leaves
    used = {n for n, v in zip(names, traced.invars, strict=True) if id(v) in read}
    return tuple(spec for spec in inputs if spec.name in used) or inputs


def _given(made: export.Exported) -> Specs:
    """What a program returns."""
    shapes = jax.tree.unflatten(made.out_tree, made.out_avals)
    return tuple(
        ArraySpec(name, tuple(x.shape[1:]), str(x.dtype)) for name, x in shapes.items()
    )


def _clips(specs: Specs) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of two clips."""
    return {s.name: jax.ShapeDtypeStruct((2, *s.shape), s.dtype) for s in specs}


def _export(
    network: NetworkConfig,
    function: Program,
    arrays: Arrays,
    takes: Specs,
) -> export.Exported:
    try:
        # Whoever calls it may have set JAX otherwise.
        with pinned(), jax.default_matmul_precision("float32"):
            return exported(function, arrays, takes)
    except Exception as error:  # of whatever the network's author wrote
        reason = " ".join(str(error).split())[:300]
        raise JmerError(
            f"{network.name} cannot be exported for all platforms and batches of any "
            f"size: {type(error).__name__}: {reason}"
        ) from error


def random_clips(
    specs: tuple[ArraySpec, ...], count: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Arrays that a program takes, of random numbers."""
    rng = np.random.default_rng(seed)
    made = {}
    for spec in specs:
        shape, kind = (count, *spec.shape), np.dtype(spec.dtype)
        if spec.name == "present":
            made[spec.name] = np.ones(shape, kind)
        elif kind.kind in "iu":
            made[spec.name] = rng.integers(0, 255, shape, endpoint=True).astype(kind)
        else:
            made[spec.name] = rng.normal(size=shape).astype(kind)
    return made
