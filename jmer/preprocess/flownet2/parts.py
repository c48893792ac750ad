"""The networks that FlowNet 2.0 is a stack of.

C and S: Fischer et al. 2015, figures 2 and 3. SD and the fusion: Ilg et al. 2017,
section 4 and its supplement. Layers are those of the published weights, and bear their
names; `width` is the channels of the first one, 64 in the paper. Height and width of
what they take are multiples of 64. Each gives flow in a scale of its own, at a quarter
of its input's size (the fusion: in pixels, at full size).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx

from jmer import nn
from jmer.arrays import Array, Float, typed
from jmer.preprocess.flownet2.correlation import CHANNELS, correlation
from jmer.preprocess.flownet2.deconv import Deconv

ConvSpec = tuple[str, int, int, int]
"""Name, side of the kernel, stride, and channels as a multiple of the width."""

LARGE: list[ConvSpec] = [("conv1", 7, 2, 1), ("conv2", 5, 2, 2), ("conv3", 5, 2, 4)]
SMALL: list[ConvSpec] = [
    ("conv0", 3, 1, 1),
    ("conv1", 3, 2, 1),
    ("conv1_1", 3, 1, 2),
    ("conv2", 3, 2, 2),
    ("conv2_1", 3, 1, 2),
]
DEEP: list[ConvSpec] = [
    ("conv3_1", 3, 1, 4),
    ("conv4", 3, 2, 8),
    ("conv4_1", 3, 1, 8),
    ("conv5", 3, 2, 8),
    ("conv5_1", 3, 1, 8),
    ("conv6", 3, 2, 16),
    ("conv6_1", 3, 1, 16),
]


def leaky(x: Array) -> Array:
    """The activation of all these networks."""
    return nnx.leaky_relu(x, 0.1)


class Chain(nnx.Module):
    """Convolutions, each with its activation; returns every result by name."""

    def __init__(
        self, inputs: int, layers: Sequence[ConvSpec], width: int, *, rngs: nnx.Rngs
    ):
        self.names = tuple(name for name, *_ in layers)
        self.layers: nnx.Dict = nnx.Dict({})
        for name, side, stride, multiple in layers:
            self.layers[name] = nn.Conv(
                inputs,
                multiple * width,
                (side, side),
                strides=(stride, stride),
                padding=(side // 2, side // 2),
                rngs=rngs,
            )
            inputs = multiple * width

    def __call__(self, x: Array) -> dict[str, Array]:
        results = {}
        for name in self.names:
            x = results[name] = leaky(self.layers[name](x))
        return results


class Refinement(nnx.Module):
    """Flow from deep features, made finer level by level beside features of each.

    Fischer et al. 2015, figure 3. `skips` are the channels of those features, `outputs`
    of what is deconvolved beside them, from `level` down. With `smooth`, another
    convolution comes before each flow but the first (Ilg et al. 2017, section 4.2).
    """

    def __init__(
        self,
        inputs: int,
        skips: Sequence[int],
        outputs: Sequence[int],
        *,
        level: int,
        smooth: bool = False,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        def conv(c: int, d: int) -> nn.Conv:
            return nn.Conv(c, d, (3, 3), padding=(1, 1), rngs=rngs)

        self.levels = tuple(range(level, level - len(skips), -1))
        self.smooth = smooth
        self.layers = layers = nnx.Dict({f"predict_flow{level + 1}": conv(inputs, 2)})
        for n, skip, output in zip(self.levels, skips, outputs, strict=True):
            layers[f"upsampled_flow{n + 1}_to_{n}"] = Deconv(2, 2, bias=bias, rngs=rngs)
            layers[f"deconv{n}"] = Deconv(inputs, output, rngs=rngs)
            inputs = skip + output + 2
            if smooth:
                layers[f"inter_conv{n}"] = conv(inputs, output)
            layers[f"predict_flow{n}"] = conv(output if smooth else inputs, 2)

    def __call__(self, x: Array, skips: Sequence[Array]) -> Array:
        layers = self.layers
        flow = layers[f"predict_flow{self.levels[0] + 1}"](x)
        for n, skip in zip(self.levels, skips, strict=True):
            finer = layers[f"upsampled_flow{n + 1}_to_{n}"](flow)
            x = jnp.concatenate([skip, leaky(layers[f"deconv{n}"](x)), finer], axis=-1)
            seen = layers[f"inter_conv{n}"](x) if self.smooth else x
            flow = layers[f"predict_flow{n}"](seen)
        return flow


def _refinement(width: int, *, rngs: nnx.Rngs, **options: bool) -> Refinement:
    """From 1/64 of the size to a quarter."""
    skips, outputs = (8, 8, 4, 2), (8, 4, 2, 1)
    return Refinement(
        16 * width,
        [n * width for n in skips],
        [n * width for n in outputs],
        level=5,
        rngs=rngs,
        **options,
    )


class FlowNetC(nnx.Module):
    """Features of both frames by the same layers, and how they correlate."""

    def __init__(self, *, width: int, rngs: nnx.Rngs):
        redirected = width // 2
        self.encoder = Chain(3, LARGE, width, rngs=rngs)
        self.redirect = Chain(
            4 * width, [("conv_redir", 1, 1, 1)], redirected, rngs=rngs
        )
        self.deep = Chain(redirected + CHANNELS, DEEP, width, rngs=rngs)
        self.refinement = _refinement(width, rngs=rngs)

    @typed
    def __call__(
        self, first: Float[Array, "b h w 3"], second: Float[Array, "b h w 3"]
    ) -> Float[Array, "b h/4 w/4 2"]:
        one, two = self.encoder(first), self.encoder(second)
        alike = leaky(correlation(one["conv3"], two["conv3"]))
        redirected = self.redirect(one["conv3"])["conv_redir"]
        deep = self.deep(jnp.concatenate([redirected, alike], axis=-1))
        skips = deep["conv5_1"], deep["conv4_1"], deep["conv3_1"], one["conv2"]
        return self.refinement(deep["conv6_1"], skips)


class FlowNetS(nnx.Module):
    """Both frames, and what is known of their flow, as channels of one image."""

    def __init__(self, *, width: int, rngs: nnx.Rngs):
        self.encoder = Chain(12, LARGE + DEEP, width, rngs=rngs)
        self.refinement = _refinement(width, bias=False, rngs=rngs)

    @typed
    def __call__(self, x: Float[Array, "b h w 12"]) -> Float[Array, "b h/4 w/4 2"]:
        y = self.encoder(x)
        skips = y["conv5_1"], y["conv4_1"], y["conv3_1"], y["conv2"]
        return self.refinement(y["conv6_1"], skips)


class FlowNetSD(nnx.Module):
    """For small displacements: smaller kernels, and full resolution to begin with."""

    def __init__(self, *, width: int, rngs: nnx.Rngs):
        layers = [*SMALL, ("conv3", 3, 2, 4), *DEEP]
        self.encoder = Chain(6, layers, width, rngs=rngs)
        self.refinement = _refinement(width, smooth=True, rngs=rngs)

    @typed
    def __call__(self, x: Float[Array, "b h w 6"]) -> Float[Array, "b h/4 w/4 2"]:
        y = self.encoder(x)
        skips = y["conv5_1"], y["conv4_1"], y["conv3_1"], y["conv2_1"]
        return self.refinement(y["conv6_1"], skips)


class FlowNetFusion(nnx.Module):
    """One flow from two, seen beside the first frame and the errors that they leave."""

    def __init__(self, *, width: int, rngs: nnx.Rngs):
        self.encoder = Chain(11, SMALL, width, rngs=rngs)
        self.refinement = Refinement(
            2 * width,
            [2 * width, width],
            [width // 2, width // 4],
            level=1,
            smooth=True,
            rngs=rngs,
        )

    @typed
    def __call__(self, x: Float[Array, "b h w 11"]) -> Float[Array, "b h w 2"]:
        y = self.encoder(x)
        return self.refinement(y["conv2_1"], [y["conv1_1"], y["conv0"]])
