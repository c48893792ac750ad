"""ResNet-18 of still faces, from whose weights AMAN starts."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.augment import random_flip
from jmer.errors import FieldCheck
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.resnet18 import STAGES, Stages
from jmer.weights import torch_names
from jmer.weights.torch_names import PathArrays, TorchState


@dataclasses.dataclass(frozen=True)
class Resnet18Config(NetworkConfig):
    """ResNet-18 on grey images of faces, enlarged to the size of AMAN's frames."""

    name: ClassVar[str] = "resnet18"
    paper: ClassVar[str] = (
        "He, Zhang, Ren, Sun. Deep Residual Learning for Image Recognition. CVPR 2016"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 11_180_103,
        "trained": 11_180_103,
        "input": "image 48x48x1",
    }
    inputs: ClassVar[tuple[str, ...]] = ("image",)
    # Of FER2013, for which AMAN has it.
    trunk_besides: ClassVar[tuple[str, ...]] = ("fc.",)
    paper_classes: ClassVar[tuple[str, ...]] = (
        *("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    )

    small_size: ClassVar[Mapping[str, Any]] = {"size": 32, "shown": 32, "width": 8}

    size: int = 48
    """Height and width of an image, in pixels."""
    shown: int = 224
    """Height and width at which the network sees it: what it learns of edges and parts
    of a face goes for faces of one size."""
    width: int = 64
    """Channels of the first convolution; the last stage has eight times as many."""
    flip: bool = True
    """Whether to mirror half of the training images."""

    def __post_init__(self) -> None:
        FieldCheck(self, "model").at_least(1, "size", "shown", "width")

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.size, self.size, 1),)

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "Resnet18":
        return Resnet18(self, classes, dtype=dtype, rngs=rngs)

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        if not self.flip:
            return inputs
        image = random_flip(inputs["image"], keys.named(key, "flip"))
        return {**inputs, "image": image}

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """torchvision's `resnet18`, trained on ImageNet."""
        shape, wanted = state["conv1.weight"].shape, (self.width, 3, 7, 7)
        if shape != wanted:
            raise ValueError(f"conv1.weight has shape {shape} instead of {wanted}")
        return torch_names.resnet18(state, "trunk")

    def to_torch(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """torchvision's names, which `--model.backbone` of AMAN takes."""
        return torch_names.to_resnet18(arrays, "trunk", "head")


class Resnet18(nnx.Module):
    """Four stages of residual blocks, the mean over space, linear. Table 1."""

    def __init__(
        self, config: Resnet18Config, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        self.shown = config.shown
        self.trunk = Stages(config.width, STAGES, dtype=dtype, rngs=rngs)
        features = config.width * 2 ** (STAGES - 1)
        self.head = nn.Linear(features, classes, dtype=dtype, rngs=rngs)

    @typed
    def __call__(
        self,
        image: Shaped[Array, "b h w 1"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        """Logits of grey pixels of 0 to 255."""
        shape = (len(image), self.shown, self.shown, 1)
        x = jax.image.resize(image.astype(jnp.float32), shape, "linear")
        x = nn.imagenet(x.repeat(3, axis=-1))
        x = self.trunk(x, train=train, weight=weight)
        return self.head(x.astype(jnp.float32).mean((1, 2))).astype(jnp.float32)
