"""Training on samples that a key makes: many steps a call, and nothing in between."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jmer import keys
from jmer.arrays import Array, PRNGKeyArray
from jmer.pretrain.base import PretrainRecipe


class PretrainState(NamedTuple):
    """All that a step changes."""

    step: Array
    params: nnx.State  # the running mean, if there is one
    newest: nnx.State  # the parameters that are updated
    stats: nnx.State
    optim: optax.OptState


def on_accelerator() -> bool:
    return jax.default_backend() != "cpu"


@dataclasses.dataclass(frozen=True)
class PretrainTrainer:
    """One recipe from one seed.

    What a step sees depends on the seed and its number alone. With `looped`, all steps
    of a call are one program, whose argument their number is: nothing depends on where
    calls begin and end. A CPU, whose loops run convolutions slowly, does better
    without; an accelerator would wait for the host.
    """

    recipe: PretrainRecipe
    seed: int
    dtype: str = "float32"
    """What the network computes in."""
    looped: bool = dataclasses.field(default_factory=on_accelerator)

    @property
    def _key(self) -> PRNGKeyArray:
        return keys.named(keys.seed_key(self.seed), "pretrain", self.recipe.name)

    def start(self) -> PretrainState:
        """Before the first step."""
        return _start(self.recipe, self.dtype, keys.named(self._key, "start"))

    def advance(self, state: PretrainState, count: int) -> tuple[PretrainState, Array]:
        """After `count` more steps, with the mean of their losses; uses `state` up."""
        key = keys.named(self._key, "batch")
        if self.looped:
            return _many(self.recipe, self.dtype, key, state, count)
        losses = []
        for _ in range(count):
            state, loss = _one(self.recipe, self.dtype, key, state)
            losses.append(loss)
        return state, jnp.stack(losses).mean()


@functools.partial(jax.jit, static_argnums=(0, 1))
def _start(recipe: PretrainRecipe, dtype: str, key: PRNGKeyArray) -> PretrainState:
    model = recipe.build(dtype, nnx.Rngs(params=key))
    params, stats = nnx.state(model, nnx.Param), nnx.state(model, nnx.BatchStat)
    optim = recipe.optim.transform().init(params)
    return PretrainState(jnp.zeros((), jnp.int32), params, params, stats, optim)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def _one(
    recipe: PretrainRecipe, dtype: str, key: PRNGKeyArray, state: PretrainState
) -> tuple[PretrainState, Array]:
    return _step(recipe, dtype, key, state)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def _many(
    recipe: PretrainRecipe,
    dtype: str,
    key: PRNGKeyArray,
    state: PretrainState,
    count: Array,
) -> tuple[PretrainState, Array]:
    def one(
        _: Array, carried: tuple[PretrainState, Array]
    ) -> tuple[PretrainState, Array]:
        state, total = carried
        state, loss = _step(recipe, dtype, key, state)
        return state, total + loss

    # A loop whose length is no part of the program, unlike that of a scan.
    state, total = jax.lax.fori_loop(0, count, one, (state, jnp.zeros(())))
    return state, total / count


def _step(
    recipe: PretrainRecipe, dtype: str, key: PRNGKeyArray, state: PretrainState
) -> tuple[PretrainState, Array]:
    batch = recipe.batch(keys.named(key, state.step))
    model = nnx.eval_shape(lambda: recipe.build(dtype, nnx.Rngs(params=0)))
    graphdef = nnx.split(model, nnx.Param, nnx.BatchStat)[0]

    def objective(params: nnx.State) -> tuple[Array, nnx.State]:
        model = nnx.merge(graphdef, params, state.stats, copy=True)
        loss = recipe.loss(model, batch)
        return loss, nnx.state(model, nnx.BatchStat)

    grad = jax.value_and_grad(objective, has_aux=True)
    (loss, stats), gradients = grad(state.newest)
    transform = recipe.optim.transform()
    updates, optim = transform.update(gradients, state.optim, state.newest)
    newest = optax.apply_updates(state.newest, updates)
    # The first ones, which know nothing, are soon forgotten.
    kept = jnp.minimum(recipe.average, (1 + state.step) / (10 + state.step))
    params = optax.incremental_update(newest, state.params, 1 - kept)
    return PretrainState(state.step + 1, params, newest, stats, optim), loss
