"""Optimisers in the terms of the papers, with their schedules.

Fields named by `values` may be arrays while a training is traced, so that trainings
that differ in them share one program.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import optax

from jmer import trees
from jmer.errors import FieldCheck, Needs

Depth = Callable[[tuple[str, ...]], int]
Number = float | jax.Array


@dataclasses.dataclass(frozen=True)
class Horizon:
    """How long a training is, for learning rates that change on the way."""

    epochs: int
    """Passes over the training clips."""
    steps_per_epoch: int | jax.Array
    """Updates in each; tasks differ in it, as they do in clips."""

    @property
    def steps(self) -> Number:
        """Updates in all."""
        return self.epochs * self.steps_per_epoch


FOREVER = Horizon(epochs=1, steps_per_epoch=2**31 - 1)


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """An optimiser; a subclass adds its fields and says how to build it."""

    values: ClassVar[tuple[str, ...]] = ("lr",)
    """Fields in which variants of one experiment may differ."""
    later: ClassVar[Mapping[str, Any]] = {}
    """Fields that came after the first runs, and what those did; see `NetworkConfig`.
    """
    fits: ClassVar[bool] = False
    """Whether it finds the weights of a baseline at once, instead of step by step."""

    lr: float = 1e-3
    """Learning rate."""

    def __post_init__(self) -> None:
        fits = 0 < self.lr < math.inf
        self._check.must("lr", fits, "be positive and finite")

    @property
    def _check(self) -> FieldCheck:
        return FieldCheck(self, "optim")

    @property
    def needs(self) -> Needs:
        """What fields need that make a difference beside others alone; see `Needs`."""
        return {}

    def require_selection(self, selection: str) -> None:
        """Raises: UsageError if a fit cannot go with that selection."""

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        """The update rule; its last step multiplies by minus the learning rate.

        `depth` says how many layers lie above a parameter.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class SteppedConfig(OptimConfig):
    """What those have in common whose learning rate may fall in steps."""

    every: int = dataclasses.field(default=0, kw_only=True)
    """Epochs between two falls of the learning rate; 0 keeps it."""
    factor: float = dataclasses.field(default=0.2, kw_only=True)
    """What the learning rate is multiplied by when it falls, 0 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check.finite("every")
        self._check.must("factor", 0 < self.factor <= 1, "be above 0 and at most 1")

    @property
    def needs(self) -> Needs:
        return {"factor": {} if self.every else {"every": 10}}

    def rate(self, step: Number, horizon: Horizon) -> jax.Array:
        """Learning rate of update `step`, from 0."""
        falls = step // horizon.steps_per_epoch // self.every if self.every else 0
        return self.lr * jnp.float32(self.factor) ** falls


@dataclasses.dataclass(frozen=True)
class SgdConfig(SteppedConfig):
    """Stochastic gradient descent with momentum."""

    values: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")

    momentum: float = 0.0
    """Share of the last update that is kept, 0 to below 1."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient (torch.optim.SGD)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check.share("momentum")
        self._check.finite("weight_decay")

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.trace(self.momentum) if self.momentum else optax.identity(),
            optax.scale_by_schedule(lambda step: -self.rate(step, horizon)),
        )


@dataclasses.dataclass(frozen=True)
class MomentsConfig(OptimConfig):
    """What Adam and its kin have in common; PyTorch's defaults."""

    values: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")

    beta1: float = 0.9
    """Decay of the mean of gradients, 0 to below 1."""
    beta2: float = 0.999
    """Decay of the mean of squared gradients, 0 to below 1."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient before the moments (torch.optim.Adam)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check.share("beta1", "beta2")
        self._check.finite("epsilon", "weight_decay")

    @property
    def moments(self) -> dict[str, float]:
        """Arguments of optax's transformations."""
        return {"b1": self.beta1, "b2": self.beta2, "eps": self.epsilon}


@dataclasses.dataclass(frozen=True)
class AdamConfig(MomentsConfig):
    """Adam (Kingma & Ba 2015) at a constant learning rate."""

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_adam(**self.moments),
            optax.scale_by_learning_rate(self.lr),
        )


@dataclasses.dataclass(frozen=True)
class AdamWConfig(MomentsConfig):
    """AdamW (Loshchilov & Hutter 2019) with warm-up, cosine and layer-wise decay.

    The learning rate rises linearly from `warmup_lr` over `warmup_epochs`, then falls
    along half a cosine to `final_lr`, update by update. Parameters of one dimension do
    not decay.
    """

    lr: float = 5e-5
    """Learning rate at the end of the warm-up."""
    weight_decay: float = 0.05
    """Decoupled decay: this share of a weight, times the learning rate, each update."""
    warmup_epochs: int = 5
    """Epochs of warm-up."""
    warmup_lr: float = 1e-6
    """Learning rate of the first update, if there is a warm-up."""
    final_lr: float = 0.0
    """Learning rate that the cosine ends at."""
    layer_decay: float = 1.0
    """Factor on the learning rate for each layer above a parameter, 0 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check.finite("warmup_epochs", "warmup_lr", "final_lr")
        fits = 0 < self.layer_decay <= 1
        self._check.must("layer_decay", fits, "be above 0 and at most 1")

    @property
    def needs(self) -> Needs:
        return {"warmup_lr": {} if self.warmup_epochs else {"warmup_epochs": 5}}

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(**self.moments),
            optax.add_decayed_weights(self.weight_decay, _matrices),
            _scale_layers(self.layer_decay, depth),
            optax.scale_by_schedule(lambda step: -self.rate(step, horizon)),
        )

    def rate(self, step: Number, horizon: Horizon) -> jax.Array:
        """Learning rate of update `step`, from 0."""
        warmup = self.warmup_epochs * horizon.steps_per_epoch
        rising = step / jnp.maximum(warmup - 1, 1)
        rising = self.warmup_lr + (self.lr - self.warmup_lr) * rising
        done = (step - warmup) / jnp.maximum(horizon.steps - warmup, 1)
        falling = self.final_lr + (self.lr - self.final_lr) * _half_cosine(done)
        return jnp.where(step < warmup, rising, falling)


@dataclasses.dataclass(frozen=True)
class UntunedWarmupConfig(MomentsConfig):
    """Adam with the untuned warm-up of Ma & Yarats 2021, times half a cosine to 0."""

    warmup: Literal["linear", "exponential", "radam"] = "linear"
    """linear: min(1, t (1 - beta2) / 2) at update t, from 1. exponential:
    1 - exp(-(1 - beta2) t). radam: the rectification of Liu et al. 2020 instead."""

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        adaptive = (
            optax.scale_by_radam(**self.moments)
            if self.warmup == "radam"
            else optax.scale_by_adam(**self.moments)
        )
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay),
            adaptive,
            optax.scale_by_schedule(lambda step: -self.rate(step, horizon)),
        )

    def factor(self, update: Number) -> jax.Array:
        """Share of the learning rate at an update, from 1."""
        if self.warmup == "linear":
            return jnp.minimum(1.0, update * (1 - self.beta2) / 2)
        if self.warmup == "exponential":
            return -jnp.expm1(-(1 - self.beta2) * update)
        return jnp.ones(())

    def rate(self, step: Number, horizon: Horizon) -> jax.Array:
        """Learning rate of update `step`, from 0."""
        return self.lr * self.factor(step + 1) * _half_cosine(step / horizon.steps)


@dataclasses.dataclass(frozen=True)
class RmspropConfig(SteppedConfig):
    """RMSprop as in PyTorch, or as in TensorFlow 1.

    There, `tf.train.RMSPropOptimizer` has a decay of 0.9 and an epsilon of 1e-10 unless
    told otherwise, adds the latter to the mean of squared gradients before the root is
    taken, and begins that mean at 1 and not at 0, so that first updates are small.
    """

    values: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    later: ClassVar[Mapping[str, Any]] = {"form": "torch"}

    form: Literal["torch", "tensorflow"] = dataclasses.field(
        default="torch", kw_only=True
    )
    """torch: epsilon is added to the root of the mean, which begins at 0. tensorflow:
    it is added below the root, and the mean begins at 1; goes with smoothing 0.9 and
    epsilon 1e-10."""

    smoothing: float = 0.99
    """Decay of the mean of squared gradients, 0 to below 1."""
    epsilon: float = 1e-8
    """Added to the root of that mean, or to the mean: see form."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient (torch.optim.RMSprop)."""
    clip: float = 0.0
    """Largest absolute value of any entry of the gradient, before all else; 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check.choices()
        self._check.share("smoothing")
        self._check.finite("epsilon", "weight_decay", "clip")

    def transform(
        self, horizon: Horizon = FOREVER, depth: Depth = lambda path: 0
    ) -> optax.GradientTransformation:
        below = self.form == "tensorflow"
        return optax.chain(
            optax.clip(self.clip) if self.clip else optax.identity(),
            optax.add_decayed_weights(self.weight_decay),
            optax.scale_by_rms(
                self.smoothing,
                self.epsilon,
                initial_scale=1.0 if below else 0.0,
                eps_in_sqrt=below,
            ),
            optax.scale_by_schedule(lambda step: -self.rate(step, horizon)),
        )


def trained_alone(
    rule: optax.GradientTransformation, frozen: Callable[[tuple[str, ...]], bool]
) -> optax.GradientTransformation:
    """`rule` for the parameters that are not frozen; the others get no update, and take
    no room in its state.
    """

    def kinds(params: optax.Params) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "frozen" if frozen(_names(path)) else "trained", params
        )

    rules = {"trained": rule, "frozen": optax.set_to_zero()}

    def of(params: optax.Params) -> optax.GradientTransformation:
        same = "frozen" not in jax.tree.leaves(kinds(params))
        return rule if same else optax.partition(rules, kinds)

    return optax.GradientTransformation(
        lambda params: of(params).init(params),
        lambda updates, state, params=None: of(updates).update(updates, state, params),
    )


def _half_cosine(done: Number) -> jax.Array:
    """From 1 at 0 to 0 at 1."""
    return (1 + jnp.cos(jnp.pi * jnp.clip(done, 0, 1))) / 2


def _matrices(params: optax.Params) -> optax.Params:
    """Which parameters have more than one dimension."""
    return jax.tree.map(lambda value: value.ndim > 1, params)


def _scale_layers(factor: float, depth: Depth) -> optax.GradientTransformation:
    if factor == 1:
        return optax.identity()

    def update(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
        def scale(path: jax.tree_util.KeyPath, value: jax.Array) -> jax.Array:
            return value * factor ** depth(_names(path))

        return jax.tree_util.tree_map_with_path(scale, updates)

    return optax.stateless(update)


def _names(path: jax.tree_util.KeyPath) -> tuple[str, ...]:
    return tuple(trees.path_name(path).split("."))
