"""A small residual network of images, for `jmer bench`: random clips.

The trunk of STANet (a ResNet-18, He et al. 2016) at an eighth of its width, on flow.
"""

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

STAGES = (1, 2, 4, 8)  # width of each, in base widths; two blocks a stage


@dataclasses.dataclass(frozen=True)
class Residual2dConfig(NetworkConfig):
    """Stem, max-pool, four stages of two basic blocks, mean over pixels, linear."""

    name: ClassVar[str] = "residual2d"
    paper: ClassVar[str] = "benchmark only"
    inputs: ClassVar[tuple[str, ...]] = ("flow",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    size: int = 48
    """Height and width, in pixels."""
    width: int = 8
    """Channels of the stem."""

    @property
    def input_shapes(self):
        return ((self.size, self.size, 2),)

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """Inputs, outputs and stride of each block."""
        widths = [self.width * factor for factor in STAGES]
        before = [self.width, *widths]
        return tuple(
            block
            for stage, (c, d) in enumerate(zip(before, widths, strict=False))
            for block in ((c, d, 2 if stage else 1), (d, d, 1))
        )

    def build(self, classes, *, dtype, rngs) -> "Residual2d":
        return Residual2d(self, classes, dtype=dtype, rngs=rngs)

    def peer(self, classes: int, *, tuned: bool = False):
        import torch

        from jmer.peers.residual import ResidualBlock, conv_norm

        config = self

        class Peer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = conv_norm(2, config.width, (7, 7), 2)
                self.pool = torch.nn.MaxPool2d(3, 2, padding=1)
                blocks = [ResidualBlock(*sizes, rank=2) for sizes in config.blocks]
                self.blocks = torch.nn.Sequential(*blocks)
                self.head = torch.nn.Linear(config.blocks[-1][1], classes)

            def forward(self, flow):
                x = self.blocks(self.pool(self.stem(flow).relu()))
                return self.head(x.mean((2, 3)))

        return Peer()


class Residual2d(nnx.Module):
    """The network of `Residual2dConfig`."""

    def __init__(
        self, config: Residual2dConfig, classes: int, *, dtype, rngs: nnx.Rngs
    ):
        same = {"dtype": dtype, "rngs": rngs}
        self.stem = nn.ConvNorm(2, config.width, (7, 7), strides=(2, 2), **same)
        blocks = [
            nn.ResidualBlock(c, d, stride=stride, rank=2, **same)
            for c, d, stride in config.blocks
        ]
        self.blocks = nnx.List(blocks)
        features = config.blocks[-1][1]
        self.head = nn.Linear(features, classes, **same)

    @typed
    def __call__(
        self,
        flow: Shaped[Array, "b h w 2"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        options = {"train": train, "weight": weight}
        x = nnx.relu(self.stem(flow.astype(jnp.float32), **options))
        x = nn.max_pool(x, (3,) * 2, strides=(2,) * 2, padding=(1,) * 2)
        for block in self.blocks:
            x = block(x, **options)
        return self.head(x.mean((1, 2))).astype(jnp.float32)


MODEL = Residual2dConfig()
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
