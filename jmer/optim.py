"""Optimisers in the terms of the papers."""

import dataclasses

import optax

from jmer.errors import UsageError


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """An optimiser; a subclass adds its fields and says how to build it."""

    lr: float = 1e-3
    """Learning rate."""

    def __post_init__(self):
        if not self.lr > 0:
            raise UsageError(f"optim.lr={self.lr} must be positive")

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
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                value = getattr(self, name)
                raise UsageError(f"optim.{name}={value} must be in [0, 1)")
        if self.weight_decay < 0:
            raise UsageError(
                f"optim.weight-decay={self.weight_decay} must not be negative"
            )

    def transform(self):
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay)
            if self.weight_decay
            else optax.identity(),
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

    def transform(self):
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay)
            if self.weight_decay
            else optax.identity(),
            optax.sgd(self.lr, self.momentum or None),
        )
