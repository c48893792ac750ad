"""Optimisers in the terms of the papers."""

import dataclasses
import math

import optax

from jmer.errors import UsageError


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """An optimiser; a subclass adds its fields and says how to build it."""

    lr: float = 1e-3
    """Learning rate."""

    def __post_init__(self):
        if not 0 < self.lr < math.inf:
            raise UsageError(f"optim.lr={self.lr} must be positive and finite")

    def transform(self) -> optax.GradientTransformation:
        """The update rule; its last step multiplies by minus the learning rate."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class AdamConfig(OptimConfig):
    """Adam (Kingma & Ba 2015) with PyTorch's defaults."""

    beta1: float = 0.9
    """Decay of the mean of gradients, 0 to below 1."""
    beta2: float = 0.999
    """Decay of the mean of squared gradients, 0 to below 1."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient before the moments (torch.optim.Adam)."""

    def __post_init__(self):
        super().__post_init__()
        _check_share(self, "beta1", "beta2")
        _check_not_negative(self, "epsilon", "weight_decay")

    def transform(self):
        return optax.chain(
            _l2(self.weight_decay),
            optax.scale_by_adam(self.beta1, self.beta2, self.epsilon),
            optax.scale_by_learning_rate(self.lr),
        )


@dataclasses.dataclass(frozen=True)
class SgdConfig(OptimConfig):
    """Stochastic gradient descent with momentum."""

    momentum: float = 0.0
    """Share of the last update that is kept, 0 to below 1."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient (torch.optim.SGD)."""

    def __post_init__(self):
        super().__post_init__()
        _check_share(self, "momentum")
        _check_not_negative(self, "weight_decay")

    def transform(self):
        return optax.chain(
            _l2(self.weight_decay),
            optax.sgd(self.lr, self.momentum or None),
        )


def _l2(weight_decay: float) -> optax.GradientTransformation:
    if not weight_decay:
        return optax.identity()
    return optax.add_decayed_weights(weight_decay)


def _check_share(config: OptimConfig, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise UsageError(f"optim.{name}={value} must be in [0, 1)")


def _check_not_negative(config: OptimConfig, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not value >= 0:  # nor NaN
            option = name.replace("_", "-")
            raise UsageError(f"optim.{option}={value} must not be negative")
