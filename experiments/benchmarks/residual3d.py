"""A small residual network of clips, for `jmer bench`: random clips.

The trunk of MERANet (a 3D ResNet-18, Hara et al. 2017) at an eighth of its width, with
a max-pool after its stem.
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
class Residual3dConfig(NetworkConfig):
    """Stem, max-pool, four stages of two basic blocks, mean, linear."""

    name: ClassVar[str] = "residual3d"
    paper: ClassVar[str] = "benchmark only"
    inputs: ClassVar[tuple[str, ...]] = ("clip",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    frames: int = 8
    """Frames of a clip."""
    size: int = 28
    """Height and width, in pixels."""
    width: int = 8
    """Channels of the stem."""

    @property
    def input_shapes(self):
        return ((self.frames, self.size, self.size, 3),)

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

    def build(self, classes, *, dtype, rngs) -> "Residual3d":
        return Residual3d(self, classes, dtype=dtype, rngs=rngs)

    def peer(self, classes: int, *, tuned: bool = False):
        import torch

        from jmer.peers.residual import ResidualBlock, conv_norm

        config = self

        class Peer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = conv_norm(3, config.width, (3, 7, 7), (1, 2, 2))
                self.pool = torch.nn.MaxPool3d(3, 2, padding=1)
                blocks = [ResidualBlock(*sizes, rank=3) for sizes in config.blocks]
                self.blocks = torch.nn.Sequential(*blocks)
                self.head = torch.nn.Linear(config.blocks[-1][1], classes)

            def forward(self, clip):
                x = self.blocks(self.pool(self.stem(clip).relu()))
                return self.head(x.mean((2, 3, 4)))

        return Peer()


class Residual3d(nnx.Module):
    """The network of `Residual3dConfig`."""

    def __init__(
        self, config: Residual3dConfig, classes: int, *, dtype, rngs: nnx.Rngs
    ):
        same = {"dtype": dtype, "rngs": rngs}
        self.stem = nn.ConvNorm(3, config.width, (3, 7, 7), strides=(1, 2, 2), **same)
        blocks = [
            nn.ResidualBlock(c, d, stride=stride, rank=3, **same)
            for c, d, stride in config.blocks
        ]
        self.blocks = nnx.List(blocks)
        features = config.blocks[-1][1]
        self.head = nn.Linear(features, classes, **same)

    @typed
    def __call__(
        self,
        clip: Shaped[Array, "b t h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        options = {"train": train, "weight": weight}
        x = nnx.relu(self.stem(clip.astype(jnp.float32), **options))
        x = nn.max_pool(x, (3,) * 3, strides=(2,) * 3, padding=(1,) * 3)
        for block in self.blocks:
            x = block(x, **options)
        return self.head(x.mean((1, 2, 3))).astype(jnp.float32)


MODEL = Residual3dConfig()
EXPERIMENT = Experiment(
    model=MODEL,
    data=RandomClips(
        shapes=tuple(zip(MODEL.inputs, MODEL.input_shapes, strict=True)),
        subjects=8,
        per_subject=8,
    ),
    optim=SgdConfig(lr=0.01, momentum=0.0),
    epochs=1,
    batch_size=8,
)
