"""What is trained on what is made up, and how."""

import dataclasses
from typing import Any, ClassVar

from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, PRNGKeyArray
from jmer.errors import FieldCheck
from jmer.optim import OptimConfig


@dataclasses.dataclass(frozen=True)
class PretrainRecipe:
    """A subclass adds fields, and says what network, samples and loss are."""

    name: ClassVar[str]
    """As on the command line, and in files of its weights."""
    steps: ClassVar[int]
    """Updates, unless others are asked for."""

    optim: OptimConfig
    average: float = dataclasses.field(default=0.0, kw_only=True)
    """Share of the running mean of parameters that a step keeps, 0 to below 1; the mean
    is what is written. 0: the last parameters."""

    def __post_init__(self) -> None:
        FieldCheck(self).share("average")

    def build(self, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Module:
        """The network with random weights, which computes in `dtype`."""
        raise NotImplementedError

    def batch(self, key: PRNGKeyArray) -> Any:
        """The samples of one step."""
        raise NotImplementedError

    def loss(self, model: Any, batch: Any) -> Array:
        """A number; statistics of the model may change."""
        raise NotImplementedError
