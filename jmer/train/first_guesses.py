"""Layouts to begin with on an accelerator, by what a network is made of.

`GUESSES` is what `jmer bench FILE --target v5e-1 --target h100 --lowerings …` says of
one network of each kind. `tests/test_first_guesses.py` derives it again at small sizes,
where the compilers are installed.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jmer.nn.lowering.choice import Lowering, use_lowering
from jmer.train.multiplications import multiplications
from jmer.train.step import Data, Trainer

Kind = Literal["narrow", "wide", "products"]
"""narrow: most operations are convolutions between few channels; wide: between many;
products: most are of matrices."""
NARROW = 16
"""Channels, of the fewer of a convolution's inputs and outputs; a matrix unit has 128
rows, and a tile of memory 8 or 16."""


FULL = 2e10
"""Multiplications of a batch forward that keep an accelerator busy: a step of three
times as many is 0.6 ms of a v5e chip at its peak, and 0.1 ms of an H100."""
FULL_SOONER: Mapping[tuple[str, Kind], float] = {("tpu", "narrow"): 1.5e9}
"""The same where steps wait for memory, and most so once their arrays have no room in
what lies beside the cores: 9 to 23 STSTNets side by side take 0.46 to 0.49 million
cycles of a v5e chip for a fold and epoch by its compiler, 34 take 0.56 and 68 0.72."""


@dataclasses.dataclass(frozen=True)
class Guess:
    """What to try first."""

    lowering: Lowering
    chunk: int
    """About so many tasks side by side."""


GUESSES: Mapping[tuple[str, Kind], Lowering] = {
    ("tpu", "narrow"): "tpu",
    ("tpu", "wide"): "tpu",
    ("tpu", "products"): "tpu",
    ("gpu", "narrow"): "gpu",
    ("gpu", "wide"): "gpu",
    ("gpu", "products"): "gpu",
}
"""By platform and kind."""


def first_guess(trainer: Trainer, data: Data, platform: str) -> Guess | None:
    """What to begin with: as many tasks side by side as keep the device busy. None
    where nothing is known, as on a CPU, whose layouts depend on its cache."""
    if not any(known == platform for known, _ in GUESSES):
        return None
    kind, operations = kind_of(trainer, data)
    chunk = tasks_to_fill(platform, kind, operations)
    return Guess(GUESSES[platform, kind], chunk)


def tasks_to_fill(platform: str, kind: Kind, operations: float) -> int:
    """Tasks side by side that keep an accelerator busy, of so many multiplications of
    a batch forward."""
    full = FULL_SOONER.get((platform, kind), FULL)
    return max(1, round(full / max(operations, 1)))


def kind_of(trainer: Trainer, data: Data) -> tuple[Kind, float]:
    """What the training's network is made of, and the multiplications of a batch in
    it forward, as it is traced: nothing is computed."""
    inputs, label = trainer.batch_shapes(data)
    weight = jax.ShapeDtypeStruct((trainer.plan.size,), jnp.float32)
    key = jax.random.key(0)
    state = jax.eval_shape(trainer.init, key)
    graphdef = trainer.graphdef

    def loss(state: Any, inputs: Any, label: Any, weight: Any) -> Any:
        model = nnx.merge(graphdef, state.params, state.stats, copy=True)
        with use_lowering("backend"):
            return trainer.network.loss(model, inputs, label, weight=weight, key=key)

    work = {"narrow": 0.0, "wide": 0.0, "products": 0.0}
    traced = jax.make_jaxpr(loss)(state, inputs, label, weight)
    for one in multiplications(traced.jaxpr):
        if one.channels is None:
            work["products"] += one.many
        else:
            work["narrow" if one.channels < NARROW else "wide"] += one.many
    kind: Kind = "narrow" if work["narrow"] >= work["wide"] else "wide"
    if work["products"] >= work["narrow"] + work["wide"]:
        kind = "products"
    return kind, sum(work.values())
