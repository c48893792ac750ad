"""Training on samples that a key makes: many steps a call, and nothing in between."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys
from jmer.arrays import Array
from jmer.pretrain.recipe import Recipe


class State(NamedTuple):
    """All that a step changes."""

    step: Array
    params: nnx.State
    stats: nnx.State
    optim: optax.OptState


class Trainer:
    """One recipe from one seed.

    What a step sees depends on the seed and its number alone. With `looped`, all steps
    of a call are one program, whose argument their number is: nothing depends on where
    calls begin and end. A CPU, whose loops run convolutions slowly, does better
    without; an accelerator then waits for the host.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        seed: int,
        dtype: DTypeLike = jnp.float32,
        looped: bool | None = None,
    ):
        self.recipe, self.dtype = recipe, dtype
        self._looped = jax.default_backend() != "cpu" if looped is None else looped
        self._key = keys.named(keys.seed_key(seed), "pretrain", recipe.name)
        self._transform = recipe.optim.transform()
        model = nnx.eval_shape(self._build)
        self._graphdef = nnx.split(model, nnx.Param, nnx.BatchStat)[0]
        self._one = jax.jit(self._step, donate_argnums=0)
        self._many = jax.jit(self._steps, donate_argnums=0)

    def _build(self) -> nnx.Module:
        start = keys.named(self._key, "start")
        return self.recipe.build(self.dtype, nnx.Rngs(params=start))

    def start(self) -> State:
        """Before the first step."""

        def make():
            _, params, stats = nnx.split(self._build(), nnx.Param, nnx.BatchStat)
            optim = self._transform.init(params)
            return State(jnp.zeros((), jnp.int32), params, stats, optim)

        return jax.jit(make)()

    def advance(self, state: State, count: int) -> tuple[State, Array]:
        """After `count` more steps, with the mean of their losses; uses `state` up."""
        if self._looped:
            return self._many(state, count)
        losses = []
        for _ in range(count):
            state, loss = self._one(state)
            losses.append(loss)
        return state, jnp.stack(losses).mean()

    def _steps(self, state: State, count: Array) -> tuple[State, Array]:
        def one(_, carried):
            state, total = carried
            state, loss = self._step(state)
            return state, total + loss

        # A loop whose length is no part of the program, unlike that of a scan.
        state, total = jax.lax.fori_loop(0, count, one, (state, jnp.zeros(())))
        return state, total / count

    def _step(self, state: State) -> tuple[State, Array]:
        batch = self.recipe.batch(keys.named(self._key, "batch", state.step))

        def objective(params):
            model = nnx.merge(self._graphdef, params, state.stats, copy=True)
            loss = self.recipe.loss(model, batch)
            return loss, nnx.state(model, nnx.BatchStat)

        grad = jax.value_and_grad(objective, has_aux=True)
        (loss, stats), gradients = grad(state.params)
        updates, optim = self._transform.update(gradients, state.optim, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(state.step + 1, params, stats, optim), loss
