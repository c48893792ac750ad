"""What all baselines have in common."""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer.arrays import Array, Float
from jmer.baselines.machine import Machines
from jmer.errors import FieldCheck, JmerError, Needs, lacking
from jmer.models.base import Inputs, NetworkConfig, Shown

FEATURES = "features"
"""What `prefix` calls its one array."""


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(NetworkConfig):
    """Features of a clip without any parameter, and the kind of classifier on them."""

    fitted: ClassVar[bool] = True
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    kernel: Literal["linear", "rbf"] = "linear"
    """Of the support vector machines: a plane, or Gaussians around training clips."""
    machines: Literal["pairs", "each"] = "pairs"
    """pairs: one for each pair of classes, and votes. each: one for each class against
    all others, which action units as labels need."""
    vectors: int = 512
    """With kernel=rbf, room for the training clips of a fold: it may keep them all."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.choices()
        check.whole("vectors", least=1)

    @property
    def needs(self) -> Needs:
        gaussians = lacking(self, kernel=("rbf",))
        optim = {"optim.gamma": gaussians, "optim.gamma_among": gaussians}
        return {"vectors": gaussians, **optim}

    @property
    def takes_units(self) -> bool:
        return self.machines == "each"

    def features(self, inputs: Inputs) -> Float[Array, "b d"]:
        """What is known of each clip of a batch, float32; nothing of another clip."""
        raise NotImplementedError

    @functools.cached_property
    def width(self) -> int:
        """How many features a clip has."""
        clips = {
            name: jax.ShapeDtypeStruct((1, *shape), jnp.float32)
            for name, shape in self.shapes.items()
        }
        return int(jax.eval_shape(self.features, clips).shape[1])

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.Module:
        vectors = self.vectors if self.kernel == "rbf" else 0
        each = self.machines == "each"
        return Machines(self.width, classes, vectors=vectors, each=each)

    def prefix(self, inputs: Inputs) -> Inputs:
        return {FEATURES: self.features(inputs)}

    def apply(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Array:
        """Logits; `options` make no difference to a fitted machine."""
        assert isinstance(model, Machines)
        return model(inputs[FEATURES])

    def explain(self, model: nnx.Module, inputs: Inputs) -> Shown:
        raise JmerError(
            f"{self.name} counts and bins what it sees, which has no gradient: there "
            f"is nothing to show of a baseline."
        )
