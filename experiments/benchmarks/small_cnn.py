"""Two convolutions and a linear layer, for `jmer bench`: no paper, random clips."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx

from jmer import nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.data.random_clips import RandomClips
from jmer.experiment import Experiment
from jmer.models.base import NetworkConfig
from jmer.optim import SgdConfig


@dataclasses.dataclass(frozen=True)
class SmallCnnConfig(NetworkConfig):
    """Twice 3x3 convolution, ReLU and 2x2 max-pool, then a linear layer."""

    name: ClassVar[str] = "small_cnn"
    paper: ClassVar[str] = "benchmark only"
    inputs: ClassVar[tuple[str, ...]] = ("image",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    size: int = 28
    """Height and width of the image, in pixels."""
    widths: tuple[int, int] = (16, 32)
    """Channels of each convolution."""

    @property
    def input_shapes(self):
        return ((self.size, self.size, 3),)

    @property
    def features(self) -> int:
        """Inputs of the linear layer."""
        return (self.size // 4) ** 2 * self.widths[1]

    def build(self, classes, *, dtype, rngs) -> "SmallCnn":
        return SmallCnn(self, classes, dtype=dtype, rngs=rngs)

    def peer(self, classes: int, *, tuned: bool = False):
        import torch
        from torch.nn.functional import max_pool2d

        config = self

        class Peer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                first, second = config.widths
                self.conv1 = torch.nn.Conv2d(3, first, 3, padding=1)
                self.conv2 = torch.nn.Conv2d(first, second, 3, padding=1)
                self.head = torch.nn.Linear(config.features, classes)

            def forward(self, image):
                x = max_pool2d(self.conv1(image).relu(), 2)
                x = max_pool2d(self.conv2(x).relu(), 2)
                return self.head(x.permute(0, 2, 3, 1).flatten(1))

        return Peer()


class SmallCnn(nnx.Module):
    """The network of `SmallCnnConfig`."""

    def __init__(self, config: SmallCnnConfig, classes: int, *, dtype, rngs: nnx.Rngs):
        first, second = config.widths
        same = {"padding": (1, 1), "dtype": dtype, "rngs": rngs}
        self.conv1 = nn.Conv(3, first, (3, 3), **same)
        self.conv2 = nn.Conv(first, second, (3, 3), **same)
        self.head = nn.Linear(config.features, classes, dtype=dtype, rngs=rngs)

    @typed
    def __call__(
        self,
        image: Shaped[Array, "b h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        x = image.astype(jnp.float32)
        for conv in (self.conv1, self.conv2):
            x = nn.max_pool(nnx.relu(conv(x)), (2, 2))
        return self.head(x.reshape(x.shape[0], -1)).astype(jnp.float32)


MODEL = SmallCnnConfig()
EXPERIMENT = Experiment(
    model=MODEL,
    data=RandomClips(
        shapes=tuple(zip(MODEL.inputs, MODEL.input_shapes, strict=True)),
        subjects=8,
        per_subject=16,
    ),
    optim=SgdConfig(lr=0.01, momentum=0.0),
    epochs=1,
    batch_size=16,
)
