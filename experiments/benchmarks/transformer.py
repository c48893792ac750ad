"""A small transformer over tokens, for `jmer bench`: no paper, random clips."""

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
class TransformerConfig(NetworkConfig):
    """Pre-norm layers (Xiong et al. 2020), mean over tokens, linear."""

    name: ClassVar[str] = "transformer"
    paper: ClassVar[str] = "benchmark only"
    inputs: ClassVar[tuple[str, ...]] = ("tokens",)
    paper_classes: ClassVar[tuple[str, ...]] = ("negative", "positive", "surprise")

    tokens: int = 50
    """Tokens of a clip."""
    dim: int = 64
    """Features of a token."""
    heads: int = 4
    """Attention heads; they share the features."""
    depth: int = 4
    """Layers."""

    @property
    def input_shapes(self):
        return ((self.tokens, self.dim),)

    def build(self, classes, *, dtype, rngs) -> "Transformer":
        return Transformer(self, classes, dtype=dtype, rngs=rngs)

    def peer(self, classes: int, *, tuned: bool = False):
        import torch
        from torch.nn import LayerNorm, Linear
        from torch.nn.functional import gelu, scaled_dot_product_attention

        config, dim = self, self.dim

        class Layer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.norm1 = LayerNorm(dim)
                self.qkv = Linear(dim, 3 * dim)
                self.out = Linear(dim, dim)
                self.norm2 = LayerNorm(dim)
                self.wide = Linear(dim, 4 * dim)
                self.narrow = Linear(4 * dim, dim)

            def forward(self, x):
                b, t, d = x.shape
                heads = self.qkv(self.norm1(x)).view(b, t, 3, config.heads, -1)
                q, k, v = heads.permute(2, 0, 3, 1, 4)
                seen = scaled_dot_product_attention(q, k, v)
                x = x + self.out(seen.transpose(1, 2).reshape(b, t, d))
                return x + self.narrow(gelu(self.wide(self.norm2(x))))

        class Peer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = torch.nn.ModuleList(Layer() for _ in range(config.depth))
                self.norm = LayerNorm(dim)
                self.head = Linear(dim, classes)

            def forward(self, tokens):
                for layer in self.layers:
                    tokens = layer(tokens)
                return self.head(self.norm(tokens).mean(1))

        return Peer()


class Layer(nnx.Module):
    """Self-attention, then a perceptron four times as wide, each after a norm."""

    def __init__(self, config: TransformerConfig, *, dtype, rngs: nnx.Rngs):
        dim = config.dim
        same = {"dtype": dtype, "rngs": rngs}
        self.heads = config.heads
        self.norm1 = norm(dim, rngs)
        self.qkv = nn.Linear(dim, 3 * dim, **same)
        self.out = nn.Linear(dim, dim, **same)
        self.norm2 = norm(dim, rngs)
        self.wide = nn.Linear(dim, 4 * dim, **same)
        self.narrow = nn.Linear(4 * dim, dim, **same)

    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t d"]:
        b, t, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, -1)
        q, k, v = (qkv[:, :, i] for i in range(3))
        seen = nn.attention(q, k, v)
        x = x + self.out(seen.reshape(b, t, d))
        return x + self.narrow(nnx.gelu(self.wide(self.norm2(x)), approximate=False))


class Transformer(nnx.Module):
    """The network of `TransformerConfig`."""

    def __init__(
        self, config: TransformerConfig, classes: int, *, dtype, rngs: nnx.Rngs
    ):
        self.layers = nnx.List(
            [Layer(config, dtype=dtype, rngs=rngs) for _ in range(config.depth)]
        )
        self.norm = norm(config.dim, rngs)
        self.head = nn.Linear(config.dim, classes, dtype=dtype, rngs=rngs)

    @typed
    def __call__(
        self,
        tokens: Shaped[Array, "b t d"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> Float[Array, "b k"]:
        x = tokens.astype(jnp.float32)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(1)).astype(jnp.float32)


def norm(dim: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer normalisation in float32 with PyTorch's epsilon."""
    return nnx.LayerNorm(dim, epsilon=1e-5, dtype=jnp.float32, rngs=rngs)


MODEL = TransformerConfig()
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
