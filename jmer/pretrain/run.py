"""From a recipe to a file of weights, which a stopped training goes on from."""

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jmer import trees
from jmer.errors import JmerError
from jmer.files import VERSION
from jmer.pretrain.base import PretrainRecipe
from jmer.pretrain.trainer import PretrainState, PretrainTrainer
from jmer.runs.folder import first_difference
from jmer.train.checkpoint import flatten, unflatten
from jmer.weights.archive import read_weights, write_weights

CALL = 5.0  # seconds of a call: what a user waits for when stopping

StepWatch = Callable[[int, int, str], None]


def pretrain(
    recipe: PretrainRecipe,
    out: Path,
    *,
    steps: int,
    every: int,
    seed: int = 0,
    dtype: str = "float32",
    watch: StepWatch = lambda done, total, note: None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Trains until `out` is of `steps` steps, writing it each `every` steps, and
    returns how many it had before.

    The file holds the optimiser's state too: a longer training may follow. What comes
    out does not depend on where it was stopped.

    Raises: JmerError if `out` is another file or of another recipe, cannot be written,
    or the loss is no number; KeyboardInterrupt if `stopping`, once it is written.
    """
    fields = dataclasses.asdict(recipe)
    identity = {"network": recipe.name, "seed": seed, "dtype": dtype, "recipe": fields}
    trainer = PretrainTrainer(recipe, seed=seed, dtype=dtype)
    state, begun = _begin(trainer, out, identity)
    done = begun
    # At once, so that a place that cannot be written is known before training.
    written = _write(out, state, identity)
    count = 1  # the first call compiles
    while done < steps:
        count = min(count, steps - done, every - done % every)
        since = time.monotonic()
        state, loss = trainer.advance(state, count)
        value, seconds = float(loss), time.monotonic() - since
        if not math.isfinite(value):
            raise JmerError(
                f"the loss is {value} between steps {done} and {done + count}; {out} "
                f"is of step {written}. Delete it and choose a smaller --lr."
            )
        note = f"loss {value:.4f}" + (
            f"  {count / seconds:.3g} steps/s" if done else ""
        )
        done += count
        watch(done, steps, note)
        asked = stopping()
        if asked or done == steps or done % every == 0:
            written = _write(out, state, identity)
        if asked and done < steps:
            raise KeyboardInterrupt
        count = max(1, min(round(CALL * count / seconds), 2 * count))
    return begun


def _begin(
    trainer: PretrainTrainer, out: Path, identity: dict[str, Any]
) -> tuple[PretrainState, int]:
    if not out.exists():
        return trainer.start(), 0
    flat, about = read_weights(out)
    difference = first_difference(about.get("identity"), identity)
    if difference:
        raise JmerError(
            f"{out} was trained in another way: {difference}. Choose another --out, or "
            f"delete it."
        )
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((1, *x.shape), x.dtype),
        jax.eval_shape(trainer.start),
    )
    # It expects several trainings, of which this is one.
    one = {name: value[np.newaxis] for name, value in flat.items()}
    state = jax.device_put(trees.take(unflatten(template, one, out), 0))
    return state, int(state.step)


def _write(out: Path, state: PretrainState, identity: dict[str, Any]) -> int:
    """The step that the file is of then."""
    step = int(state.step)
    about = {"jmer": VERSION, "step": step, "identity": identity}
    write_weights(out, flatten(state), about)
    return step
