"""MERANet: a residual network of clips with two gates a block, and its baseline."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.augment import Deviation, normalise_clip, random_flip
from jmer.errors import FieldCheck, JmerError, Needs, lacking
from jmer.models.base import Inputs, NetworkConfig
from jmer.weights import torch_names
from jmer.weights.torch_names import PathArrays, TorchState

STAGES = (1, 2, 4, 8)  # width of each, in widths of the stem; two blocks a stage
INITS = {"glorot": nn.glorot, "literal": nn.glorot_channels}


@dataclasses.dataclass(frozen=True)
class Resnet3dConfig(NetworkConfig):
    """The 3D ResNet-18 that MERANet adds its gates to: 33,167,811 parameters."""

    name: ClassVar[str] = "resnet3d"
    paper: ClassVar[str] = (
        "Tran, Wang, Torresani, Ray, LeCun, Paluri. A Closer Look at Spatiotemporal "
        "Convolutions for Action Recognition. CVPR 2018"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 33_167_811,
        "trained": 33_167_811,
        "input": "clip 16x112x112x3",
    }
    inputs: ClassVar[tuple[str, ...]] = ("clip",)
    later: ClassVar[Mapping[str, Any]] = {"deviation": "channel"}
    # Of CAS(ME)², on which the kernels and the two forms of g are compared.
    trunk_besides: ClassVar[tuple[str, ...]] = ("fc.",)
    paper_classes: ClassVar[tuple[str, ...]] = ("happiness", "anger", "disgust")

    small_size: ClassVar[Mapping[str, Any]] = {"size": 24, "width": 8}

    frames: int = 16
    """Frames of a clip: 16 (table 2, and the clip of section 4.2), or 32, which section
    4.2 gives as the temporal depth of CASME and CASME II; the set must have as many."""
    size: int = 112
    """Height and width of a frame, in pixels."""
    width: int = 64
    """Channels of the stem and the first stage; each later stage has twice as many."""
    shortcut: nn.Shortcut = "conv"
    """What joins stages: a convolution of one pixel (section 3.3, and what the paper's
    parameter count includes), or zeros in the new channels (section 3.4)."""
    init: Literal["glorot", "literal"] = "glorot"
    """Xavier uniform by all inputs and outputs of a unit, or by channels alone, as the
    paper words it, which makes kernels of 3x3x3 five times larger."""
    flip: bool = True
    """Whether to mirror half of the training clips."""
    deviation: Deviation = "channel"
    """What a clip is divided by once each channel has mean 0: the standard deviation of
    each channel, or that of the whole clip (sample). The paper says "for each channel"
    of the mean, and of the deviation "each sample" (section 4.2)."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, "frames", "size", "width")
        check.choices()

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames, self.size, self.size, 3),)

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "MERANet":
        return MERANet(self, classes, dtype=dtype, rngs=rngs)

    def gate(self, channels: int, **options: Any) -> Any:
        """What weighs the `channels` of a block, or None."""
        return None

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        if not self.flip:
            return inputs
        clip = random_flip(inputs["clip"], keys.named(key, "flip"))
        return {**inputs, "clip": clip}

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """torchvision's `r3d_18`, trained on Kinetics-400; the gates stay random."""
        if self.shortcut == "zeropad":
            raise JmerError(
                f"{self.name} with model.shortcut=zeropad has no place for the "
                f"shortcuts of published weights; use model.shortcut=conv."
            )
        return torch_names.r3d_18(state, "trunk")


@dataclasses.dataclass(frozen=True)
class MeranetConfig(Resnet3dConfig):
    """MERANet (Gajjala et al. 2021): channel, then space-time attention in each block.

    33,256,851 parameters with the defaults and three classes; 33,255,283 and 33,260,339
    with kernels of 3 and 7. The paper prints 33,547,552, which its text cannot give:
    that is 379,741 more than the baseline, and two equal blocks a stage and an equal
    head can only add an even number. We build what the equations say.
    """

    name: ClassVar[str] = "meranet"
    paper: ClassVar[str] = (
        "Gajjala, Reddy, Mukherjee, Dubey. MERANet: Facial Micro-Expression "
        "Recognition using 3D Residual Attention Network. ICVGIP 2021"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 33_256_851,
        "trained": 33_256_851,
        "input": "clip 16x112x112x3",
    }

    small_size: ClassVar[Mapping[str, Any]] = {
        **{"size": 24, "width": 8, "reduction": 4, "st_kernel": 3}
    }

    attn: Literal["none", "ca", "st", "both"] = "both"
    """Attention of a block: by channel (ca), by place and frame (st), one after the
    other (both), or none, which is the baseline."""
    ca_shared: nn.Shared = "conv"
    """The layers of channel attention: convolutions of one pixel, or linear. They see
    one value a channel and compute the same, whatever figure 4 of the paper shows."""
    st_kernel: Literal[3, 5, 7] = 5
    """Frames, rows and columns that space-time attention looks at (equation 3)."""
    reduction: int = 16
    """Channels for each hidden unit of channel attention (section 3.2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check = FieldCheck(self, "model")
        check.at_least(1, "reduction")
        fits = self.needs["reduction"] or self.width % self.reduction == 0
        check.must("reduction", bool(fits), f"divide model.width={self.width}")

    @property
    def needs(self) -> Needs:
        channels = lacking(self, attn=("both", "ca"))
        return {
            "st_kernel": lacking(self, attn=("both", "st")),
            **{"ca_shared": channels, "reduction": channels},
        }

    def gate(self, channels: int, **options: Any) -> Any:
        gates: list[Any] = []
        if self.attn in ("ca", "both"):
            sizes: dict[str, Any] = {"reduction": self.reduction, "rank": 3}
            shared = self.ca_shared
            gates.append(nn.ChannelGate(channels, shared=shared, **sizes, **options))
        if self.attn in ("st", "both"):
            gates.append(nn.SpaceTimeGate((self.st_kernel,) * 3, **options))
        return nn.Gates(gates) if gates else None


class MeranetTrunk(nnx.Module):
    """Stem of 3x7x7 at half the height and width, then four stages of two blocks; all
    but the first halve frames, height and width. Tran et al. 2018, table 1 (R3D).
    """

    def __init__(self, config: Resnet3dConfig, **options: Any) -> None:
        self.stem = nn.ConvNorm(
            3, config.width, (3, 7, 7), strides=(1, 2, 2), **options
        )

        def block(inputs: int, outputs: int, stride: int) -> nn.ResidualBlock:
            return nn.ResidualBlock(
                inputs,
                outputs,
                stride=stride,
                rank=3,
                gate=config.gate(outputs, **options),
                shortcut=config.shortcut,
                **options,
            )

        stages, before = [], config.width
        for stage, factor in enumerate(STAGES):
            width = config.width * factor
            pair = [block(before, width, 2 if stage else 1), block(width, width, 1)]
            stages.append(nnx.List(pair))
            before = width
        self.stages = nnx.List(stages)

    def explain(self, x: Array, **options: Any) -> tuple[Array, dict[str, Array]]:
        """Features, and what the gates show with the paper's number of their block."""
        shown: dict[str, Array] = {}
        x = nnx.relu(self.stem(x, **options))
        for i, stage in enumerate(self.stages, start=1):
            for j, block in enumerate(stage, start=1):
                x, weights = block.explain(x, **options)
                shown |= {f"{name}_{i}_{j}": w for name, w in weights.items()}
        return x, shown


class MERANet(nnx.Module):
    """Residual blocks with gates, mean over space and time, linear.

    Gajjala et al. 2021, section 3; with a configuration that has no gates, their
    baseline, torchvision's `r3d_18`.
    """

    def __init__(
        self, config: Resnet3dConfig, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        options: dict[str, Any] = {
            "kernel_init": INITS[config.init],
            "dtype": dtype,
            "rngs": rngs,
        }
        self.deviation = config.deviation
        self.trunk = MeranetTrunk(config, **options)
        self.head = nn.Linear(
            config.width * STAGES[-1],
            classes,
            bias_init=nnx.initializers.zeros,
            **options,
        )

    def __call__(self, clip: Array, **options: Any) -> Array:
        """Logits [b, k] of RGB clips [b, t, h, w, 3] in any unit."""
        return self.explain(clip, **options)[0]

    @typed
    def explain(
        self,
        clip: Shaped[Array, "b t h w 3"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """Logits, and by name: the weights `channel_I_J` [b, c] and `space_time_I_J`
        [b, t, h, w] of block J of stage I, and the `features` [b, t, h, w, c] whose
        mean the head sees, for class activation maps. Nothing depends on `key`.
        """
        x = normalise_clip(clip, self.deviation)
        x, shown = self.trunk.explain(x, train=train, weight=weight)
        x = x.astype(jnp.float32)
        logits = self.head(x.mean((1, 2, 3))).astype(jnp.float32)
        return logits, {**shown, "features": x}
