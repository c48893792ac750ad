"""STANet: a residual network with attention over space and over time."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from jmer import augment, keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck
from jmer.losses import cross_entropy, weighted_mean
from jmer.models.base import Inputs, NetworkConfig
from jmer.weights import torch_names
from jmer.weights.torch_names import PathArrays, TorchState


@dataclasses.dataclass(frozen=True)
class STANetConfig(NetworkConfig):
    """STANet: ResNet-18 of each flow frame, a mask of places, weights of frames."""

    name: ClassVar[str] = "stanet"
    paper: ClassVar[str] = (
        "Spatial-Temporal Attention Network for Micro-expression Recognition "
        "(manuscript without names, after 2018)"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 12_883_332,
        "trained": 12_883_332,
        "input": "flow 19x192x192x2",
    }
    inputs: ClassVar[tuple[str, ...]] = ("flow",)
    values: ClassVar[tuple[str, ...]] = ("lambda_l1",)
    trunk_besides: ClassVar[tuple[str, ...]] = ("fc.",)
    paper_classes: ClassVar[tuple[str, ...]] = (
        "disgust",
        "repression",
        "surprise",
        "tense",
    )

    frames: int = 19
    """Flow frames of a clip, one less than its images (section 4.1)."""
    size: int = 192
    """Height and width of a flow frame, in pixels."""
    width: int = 64
    """Channels of the first convolution; the last stage has eight times as many."""
    sab: bool = True
    """Spatial attention branch (section 3.1)."""
    levels: int = 3
    """Times that the spatial branch halves its image; the paper leaves it open."""
    mask: Literal["channels", "one"] = "channels"
    """A mask for each channel, or one for all; the paper leaves it open."""
    lambda_l1: float = 1e-8
    """Factor of the sum of a clip's mask in the loss (equation 7)."""
    tab: bool = True
    """Temporal attention branch (section 3.2); a plain mean over frames without."""
    lstm: int = 128
    """Hidden units of the temporal branch in each direction of time."""
    affinity_scale: Literal["one", "rsqrt"] = "one"
    """What H^T H is multiplied by in equation 3; rsqrt: 1/sqrt(length of a state),
    against a hyperbolic tangent that saturates."""
    input: Literal["uv", "rgb"] = "uv"
    """What the network sees: flow in pixels, or its colours on the colour wheel."""
    augmented: bool = True
    """Whether training clips are changed at random (section 4.1)."""
    every_crop: bool = False
    """Whether an epoch has each clip in all windows and scales, and mirrored if `flip`
    says so, 15 or 10 times as many updates, rather than in one at random."""
    crop: float = 0.875
    """Side of the window cut from a training clip, as a share of `size`: 168 of 192."""
    rescales: tuple[float, ...] = (0.9, 1.0, 1.1)
    """Scales of a training clip, one of which is drawn before the cut."""
    flip: bool = False
    """Mirror training clips at random (the paper: for SMIC-HS only)."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, "frames", "width", "lstm")
        check.at_least(0, "levels")
        least = 8 * 2**self.levels - 7 if self.sab else 1
        enough = f"be at least {least} pixels for model.levels={self.levels}"
        check.must("size", self.size >= least, enough)
        check.finite("lambda_l1")
        fits = bool(self.rescales) and all(0 < scale < 10 for scale in self.rescales)
        check.must("rescales", fits, "be positive and below 10")
        check.must(
            "crop",
            0 < self.crop <= min(self.rescales),
            f"be positive and fit into the smallest of model.rescales={self.rescales}",
        )
        check.choices()

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self.frames, self.size, self.size, 2),)

    @property
    def channels(self) -> int:
        """Channels that the first convolution sees."""
        return 3 if self.input == "rgb" else 2

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "STANet":
        return STANet(self, classes, dtype=dtype, rngs=rngs)

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """torchvision's `resnet18` of images.

        For flow, the first convolution is averaged over red, green and blue, and both
        components get that average; for its colours it stays.
        """
        shape = (self.width, 3, 7, 7)
        if state["conv1.weight"].shape != shape or "layer1.2.conv1.weight" in state:
            raise ValueError(f"not a ResNet-18 of {self.width} channels for images")
        arrays = torch_names.resnet18(state, "trunk")
        if self.input == "uv":
            kernel = arrays["params.trunk.stem.conv.kernel"]
            mean = kernel.mean(axis=2, keepdims=True)
            arrays["params.trunk.stem.conv.kernel"] = mean.repeat(2, axis=2)
        return arrays

    @property
    def versions(self) -> int:
        if not (self.augmented and self.every_crop):
            return 1
        return len(augment.PLACES) * len(self.rescales) * (2 if self.flip else 1)

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        """One window of one scale for each clip, perhaps mirrored (section 4.1)."""
        if not self.augmented:
            return inputs
        if self.every_crop:
            return {**inputs, "flow": self._version(inputs["flow"], version)}
        flow = augment.random_corner_crop(
            inputs["flow"],
            keys.named(key, "crop"),
            self.crop,
            scales=self.rescales,
            vectors=True,
        )
        if self.flip:
            flow = augment.random_flip(flow, keys.named(key, "flip"), vectors=True)
        return {**inputs, "flow": flow}

    def _version(self, flow: Array, version: Array) -> Array:
        place, rest = version % len(augment.PLACES), version // len(augment.PLACES)
        scale = jnp.array(self.rescales, jnp.float32)[rest % len(self.rescales)]
        flow = augment.corner_crop(flow, place, self.crop, scale=scale, vectors=True)
        if self.flip:
            flow = augment.mirror(flow, rest >= len(self.rescales), vectors=True)
        return flow

    def loss(
        self,
        model: nnx.Module,
        inputs: Inputs,
        label: Array,
        *,
        weight: Array,
        key: PRNGKeyArray,
    ) -> Array:
        """Cross-entropy plus the L1 norm of each clip's mask (equations 6 and 7)."""
        assert hasattr(model, "explain")
        logits, shown = model.explain(
            inputs["flow"], train=True, key=key, weight=weight
        )
        value = cross_entropy(logits, label)
        if self.sab:
            value = value + self.lambda_l1 * shown["mask"].sum((1, 2, 3, 4))
        return weighted_mean(value, weight)


class StanetTrunk(nnx.Module):
    """ResNet-18 without its head, He et al. 2016, in two halves: the paper's third
    feature map lies after the stem and two stages.
    """

    def __init__(
        self, inputs: int, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.stem = nn.ConvNorm(inputs, width, (7, 7), strides=(2, 2), **same)
        self.stages: nnx.List[nnx.List] = nnx.List()
        before = width
        for i in range(4):
            after, stride = width * 2**i, min(i + 1, 2)
            first = nn.ResidualBlock(before, after, stride=stride, rank=2, **same)
            second = nn.ResidualBlock(after, after, rank=2, **same)
            self.stages.append(nnx.List([first, second]))
            before = after

    def lower(self, x: Array, **options: Any) -> Array:
        """Features at an eighth of the image's height and width."""
        x = nnx.relu(self.stem(x, **options))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=(1, 1))
        return self._through(self.stages[:2], x, options)

    def upper(self, x: Array, **options: Any) -> Array:
        """Features at a thirty-second."""
        return self._through(self.stages[2:], x, options)

    def _through(
        self, stages: Iterable[nnx.List], x: Array, options: Mapping[str, Any]
    ) -> Array:
        for stage in stages:
            for block in stage:
                x = block(x, **options)
        return x


class STANet(nnx.Module):
    """Features of each frame, in which a mask raised some places; their mean over
    frames, some of which weights raised; linear.

    Figure 1 and equations 1 to 5, with a linear layer after them.
    """

    def __init__(
        self, config: STANetConfig, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.colours = config.input == "rgb"
        self.trunk = StanetTrunk(config.channels, config.width, **same)
        middle, features = 2 * config.width, 8 * config.width
        self.attention = nnx.data(
            nn.HourglassMask(
                middle,
                middle if config.mask == "channels" else 1,
                levels=config.levels,
                **same,
            )
            if config.sab
            else None
        )
        self.lstm = nnx.data(
            nn.BiLSTM(features, config.lstm, **same) if config.tab else None
        )
        rsqrt = config.affinity_scale == "rsqrt"
        self.affinity_scale = (2 * config.lstm) ** -0.5 if rsqrt else 1.0
        self.head = nn.Linear(features, classes, **same)

    def __call__(self, flow: Array, **options: Any) -> Array:
        """Logits [b, classes] of flow [b, t, h, w, 2] in pixels."""
        return self.explain(flow, **options)[0]

    @typed
    def explain(
        self,
        flow: Shaped[Array, "b t h w 2"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """Logits, and what they came from, where the network has it:

        features: [b, t, h, w, c], before the mask; mask: [b, t, h, w, c or 1], 0 to 1;
        frame_weight: [b, t], w of equation 4.
        """
        b, t = flow.shape[:2]
        x = nn.wheel_colours(flow) if self.colours else flow.astype(jnp.float32)
        # Each frame is an image of its own, and counts as its clip does.
        frames = None if weight is None else jnp.repeat(weight, t)
        options: dict[str, Any] = {"train": train, "weight": frames}
        low = self.trunk.lower(x.reshape(b * t, *x.shape[2:]), **options)
        shown = {"features": low.reshape(b, t, *low.shape[1:])}
        if self.attention is not None:
            mask = self.attention(low, **options)
            shown["mask"] = mask.reshape(b, t, *mask.shape[1:])
            low = (1 + mask).astype(low.dtype) * low
        high = self.trunk.upper(low, **options)
        each = high.astype(jnp.float32).mean((1, 2)).reshape(b, t, -1)
        if self.lstm is not None:
            shown["frame_weight"] = frame_weight(self.lstm(each), self.affinity_scale)
            each = (1 + shown["frame_weight"])[..., None] * each
        return self.head(each.mean(1)).astype(jnp.float32), shown


@typed
def frame_weight(states: Float[Array, "b t d"], scale: float) -> Float[Array, "b t"]:
    """softmax of the row sums of tanh(scale H^T H), of each clip: equations 3 and 4.

    The paper reads large weights as much motion, which nothing here measures. What
    they reward is a state that is long (its product with itself) and points where the
    others do, so a frame unlike all others weighs least. They sum to 1 over the clip:
    equation 5 adds no more than one frame's worth to the plain sum of all.
    """
    affinity = jnp.tanh(scale * jnp.einsum("bid,bjd->bij", states, states))
    return jax.nn.softmax(affinity.sum(-1), axis=-1)
