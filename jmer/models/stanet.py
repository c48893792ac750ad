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
from jmer.errors import FieldCheck, Needs, lacking
from jmer.losses import label_loss, weighted_mean
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
    later: ClassVar[Mapping[str, Any]] = {
        **{"attended": 2, "directions": "both", "summary": "mean"},
    }
    trunk_besides: ClassVar[tuple[str, ...]] = ("fc.",)
    paper_classes: ClassVar[tuple[str, ...]] = (
        "disgust",
        "repression",
        "surprise",
        "tense",
    )

    small_size: ClassVar[Mapping[str, Any]] = {
        **{"size": 32, "width": 8, "levels": 1, "lstm": 16, "every_crop": False},
    }

    frames: int = 19
    """Flow frames of a clip, one less than its images (section 4.1)."""
    size: int = 192
    """Height and width of a flow frame, in pixels."""
    width: int = 64
    """Channels of the first convolution; the last stage has eight times as many."""
    sab: bool = True
    """Spatial attention branch (section 3.1)."""
    attended: Literal[1, 2, 3, 4] = 2
    """Stages of the residual network below the mask. The paper calls what it multiplies
    the third feature map, L3, of a network that it does not describe: 2 counts the stem
    as the first map; 3 is the third stage."""
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
    directions: Literal["both", "forward"] = "both"
    """Of the states h_i, which "represent the context in the entire sequence" (section
    3.2): of a network of both directions of time, or of one that has seen the frames
    before alone."""
    summary: Literal["mean", "last", "state"] = "mean"
    """What of a clip is classified, where the paper stops at equation 5: the mean of
    T(x_i) over frames, T of the last frame, or the last state of the temporal branch
    in each direction, to which equation 5 adds nothing."""
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
        check.choices()
        cell = 2 ** (self.attended + 1)  # pixels that a place of the mask is of
        least = cell * (2**self.levels - 1) + 1 if self.sab else 1
        enough = f"be at least {least} pixels for model.levels={self.levels}"
        if self.attended != 2:
            enough += f" and model.attended={self.attended}"
        check.must("size", self.size >= least, enough)
        tab = self.tab or self.summary != "state"
        check.must("summary", tab, "not be state without model.tab, which makes it")
        check.finite("lambda_l1")
        fits = bool(self.rescales) and all(0 < scale < 10 for scale in self.rescales)
        check.must("rescales", fits, "be positive and below 10")
        check.must(
            "crop",
            0 < self.crop <= min(self.rescales),
            f"be positive and fit into the smallest of model.rescales={self.rescales}",
        )

    @property
    def needs(self) -> Needs:
        space, time = lacking(self, sab=(True,)), lacking(self, tab=(True,))
        changed = lacking(self, augmented=(True,))
        return {
            **dict.fromkeys(("levels", "mask", "lambda_l1"), space),
            **dict.fromkeys(("lstm", "directions", "affinity_scale"), time),
            **dict.fromkeys(("every_crop", "crop", "rescales", "flip"), changed),
        }

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
        value = label_loss(logits, label)
        if self.sab:
            value = value + self.lambda_l1 * shown["mask"].sum((1, 2, 3, 4))
        return weighted_mean(value, weight)


class StanetTrunk(nnx.Module):
    """ResNet-18 without its head, He et al. 2016, in two halves: below the mask, and
    above it.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        attended: int = 2,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.attended = attended
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
        """Features that the mask is of; after two stages, at an eighth of the image's
        height and width."""
        x = nnx.relu(self.stem(x, **options))
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=(1, 1))
        return self._through(self.stages[: self.attended], x, options)

    def upper(self, x: Array, **options: Any) -> Array:
        """Features at a thirty-second."""
        return self._through(self.stages[self.attended :], x, options)

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
        self.trunk = StanetTrunk(
            config.channels, config.width, attended=config.attended, **same
        )
        features = 8 * config.width
        middle = 2 ** (config.attended - 1) * config.width
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
        directions = 2 if config.directions == "both" else 1
        state = directions * config.lstm
        self.lstm = nnx.data(
            nn.BiLSTM(features, config.lstm, directions=directions, **same)
            if config.tab
            else None
        )
        rsqrt = config.affinity_scale == "rsqrt"
        self.affinity_scale = state**-0.5 if rsqrt else 1.0
        self.summary, self.forwards = config.summary, config.lstm
        seen = state if config.summary == "state" else features
        self.head = nn.Linear(seen, classes, **same)

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
        states = None if self.lstm is None else self.lstm(each)
        if states is not None:
            shown["frame_weight"] = frame_weight(states, self.affinity_scale)
            each = (1 + shown["frame_weight"])[..., None] * each
        whole = self._summary(each, states)
        return self.head(whole).astype(jnp.float32), shown

    def _summary(
        self, each: Float[Array, "b t c"], states: Array | None
    ) -> Float[Array, "b _"]:
        """What of a clip is classified."""
        if self.summary == "mean":
            return each.mean(1)
        if self.summary == "last" or states is None:
            return each[:, -1]
        # Backwards, the state of the first frame is the last.
        ahead, back = states[:, -1, : self.forwards], states[:, 0, self.forwards :]
        return jnp.concatenate([ahead, back], -1)


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
