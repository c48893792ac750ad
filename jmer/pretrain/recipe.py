"""What is trained on what is made up, and how."""

import dataclasses
from typing import Any, ClassVar

from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, PRNGKeyArray
from jmer.optim import OptimConfig


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A subclass adds fields, and says what network, samples and loss are."""

    name: ClassVar[str]
    """As on the command line, and in files of its weights."""
    steps: ClassVar[int]
    """Updates, unless others are asked for."""

    optim: OptimConfig

    def build(self, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Module:
        """The network with random weights, which computes in `dtype`."""
        raise NotImplementedError

    def batch(self, key: PRNGKeyArray) -> Any:
        """The samples of one step."""
        raise NotImplementedError

    def loss(self, model: Any, batch: Any) -> Array:
        """A number; statistics of the model may change."""
        raise NotImplementedError
