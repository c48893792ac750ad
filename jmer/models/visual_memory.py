"""Time-contrasted features with visual memory: spotting and recognition in one."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike

from jmer import augment, keys, nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck, JmerError, Needs, UsageError, lacking, option
from jmer.losses import label_loss, share_cross_entropy, weighted_mean
from jmer.models.base import Inputs, NetworkConfig, Shown
from jmer.nn import vgg
from jmer.nn.steps import in_turn, log_mean, shares, windows
from jmer.weights import torch_names
from jmer.weights.torch_names import PathArrays, TorchState


@dataclasses.dataclass(frozen=True)
class VisualMemoryConfig(NetworkConfig):
    """Features of neighbouring frames against one another, and a memory of them: the
    class and the intensity of each step, and their class of the whole clip.
    """

    name: ClassVar[str] = "visual_memory"
    paper: ClassVar[str] = (
        "Nag, Bhunia, Konwer, Roy. Facial Micro-expression Spotting and Recognition "
        "using Time Contrasted Feature with Visual Memory. ICASSP 2019"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 28_066_887,
        "trained": 28_066_887,
        "input": "clip 15x64x64x3, flow 14x64x64x2, intensity 15",
    }
    values: ClassVar[tuple[str, ...]] = ("intensity_weight",)
    trunk_besides: ClassVar[tuple[str, ...]] = ("classifier.",)
    later: ClassVar[Mapping[str, Any]] = {"padded": False, "context_dilation": 3}
    paper_classes: ClassVar[tuple[str, ...]] = (
        *("happiness", "disgust", "surprise", "repression"),
        "others",
    )

    phase: Literal["joint", "spatial", "memory"] = "joint"
    """joint: everything is trained at once. The paper trains in two: spatial is the
    spatial network alone, which tells the class of single frames; memory is all the
    rest, which starts from such a run and leaves that network and the one of motion as
    they are."""
    train_motion: bool = False
    """In the memory phase, train the network of motion too, where there are no weights
    of it to start from."""
    frames: int = 15
    """Frames of a clip; flow has one less, and so has what the network finds: a step is
    a pair of neighbours, and tells the class and the intensity of the second."""
    padded: bool = False
    """Whether clips are of any length up to `frames`, filled up at their ends, as
    data.resample=native has them. Tests then go through them a sequence at a time."""
    steps: int = 14
    """Steps of a training sequence; where clips have more, it begins at random. Tests
    always go over the whole clip, and the memory with them."""
    size: int = 64
    """Height and width of frames and flow, in pixels; a multiple of 16."""
    width: int = 64
    """Channels of the first convolutions; all others are multiples of it."""
    hidden: int = 256
    """Units of the memory, and of each layer before and after it."""
    contrast: bool = True
    """Differences of local and context features in time (equations 1 to 3)."""
    context: nn.Context = "dilated"
    """What context is: a convolution of 3x3 pixels that lie apart, or a linear layer of
    the mean over the image; the paper leaves it open."""
    context_dilation: int = 3
    """How far apart; images of 64 pixels have maps of 8x8, of which 3 sees the most."""
    temporal_net: bool = True
    """The network of motion, which sees the flow; without it, no flow is needed."""
    flow_channels: Literal["polar", "uv"] = "polar"
    """What that network sees: the angle over pi and the magnitude as a share of the
    field's largest, or u and v in pixels."""
    memory: Literal["gru", "convgru", "none"] = "gru"
    """Recurrent units of a vector, or of images (7x7 convolutions, as one sentence of
    the paper says; then no layers that flatten them), or none: each step for itself."""
    memory_channels: int = 64
    """Channels of the state of convgru."""
    fc6_dilation: int = 12
    """Distance of the pixels of the last wide convolution. At 8 or more on images of 64
    pixels, only the middle one of nine lies within; 2 uses all."""
    intensity: bool = True
    """Whether frames learn the data set's `intensity` too (equation 5)."""
    intensity_loss: Literal["absolute", "cross-entropy"] = "absolute"
    """How the intensity is learnt: by the mean absolute error of equation 5, whose
    smallest value may be no intensity at all for a whole class, or by cross-entropy,
    which never is content with that."""
    intensity_weight: float = 1.0
    """Factor of the loss of the intensity."""
    steps_count: Literal["alike", "by-intensity"] = "alike"
    """How much each step counts for the class: all alike, as in the paper, or by the
    intensity, the true one in training and the network's own in tests, for videos in
    which most frames show nothing."""
    augmented: bool = True
    """Whether training clips are turned, scaled and moved at random (section 3)."""
    rotate: float = 10.0
    """Largest angle of that, in degrees."""
    rescale: float = 0.1
    """Largest change of scale, as a share, 0 to below 1."""
    shift: float = 2.0
    """Largest move along either axis, in pixels."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, "steps", "width", "hidden", "memory_channels")
        check.at_least(1, "fc6_dilation", "context_dilation")
        fits = self.frames > self.steps
        check.must("frames", fits, f"be more than model.steps={self.steps}")
        check.multiple(16, "size")
        check.finite("rotate", "shift", "intensity_weight")
        check.must("rescale", 0 <= self.rescale < 1, "be at least 0 and below 1")
        check.choices()
        if self.train_motion and self.phase != "memory":
            raise UsageError(
                f"model.train-motion goes with model.phase=memory, not with "
                f"model.phase={self.phase}"
            )
        if self.by_intensity and not self.intensity:
            raise UsageError(
                "model.steps-count=by-intensity needs model.intensity: without it, "
                "leave model.steps-count=alike"
            )

    @property
    def needs(self) -> Needs:
        whole = {"phase": ("joint", "memory")}
        alone = ("hidden", "contrast", "temporal_net", "memory")
        contrast = {**whole, "contrast": (True,)}
        moves = ("rotate", "rescale", "shift")
        heights = ("intensity_loss", "intensity_weight")
        motion = lacking(self, temporal_net=(True,)) if self.phase == "memory" else {}
        return {
            **dict.fromkeys(alone, lacking(self, **whole)),
            "context": lacking(self, **contrast),
            "context_dilation": lacking(self, **contrast, context=("dilated",)),
            "flow_channels": lacking(self, **whole, temporal_net=(True,)),
            "train_motion": motion,
            "memory_channels": lacking(self, **whole, memory=("convgru",)),
            **dict.fromkeys(heights, lacking(self, **whole, intensity=(True,))),
            **dict.fromkeys(moves, lacking(self, augmented=(True,))),
        }

    @property
    def small_size(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Fields of the network that `--small` trains: of the second phase, alone."""
        sizes = {"size": 16, "width": 4, "hidden": 16, "memory_channels": 8, "steps": 8}
        # The second phase starts from a run of the first, whose sizes are others.
        alone = {"phase": "joint", "train_motion": False}
        return sizes | (alone if self.phase == "memory" else {})

    @property
    def by_intensity(self) -> bool:
        """Whether steps count by their intensity."""
        return self.steps_count == "by-intensity"

    @property
    def clips_apart(self) -> bool:  # type: ignore[override]
        """Clips count by their intensity beside those of their batch, or all alike."""
        return not self.by_intensity

    @property
    def inputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """`intensity` is seen by the loss alone."""
        flow = ("flow",) if self.temporal_net and self.phase != "spatial" else ()
        more = {"intensity": self.intensity, "present": self.padded}
        return ("clip", *flow, *(name for name, seen in more.items() if seen))

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        square = (self.size, self.size)
        shapes = {
            "clip": (self.frames, *square, 3),
            "flow": (self.frames - 1, *square, 2),
            "intensity": (self.frames,),
            "present": (self.frames,),
        }
        return tuple(shapes[name] for name in self.inputs)

    def build(
        self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> "FrameClassifier | VisualMemory":
        kind = FrameClassifier if self.phase == "spatial" else VisualMemory
        return kind(self, classes, dtype=dtype, rngs=rngs)

    def frozen(self, path: tuple[str, ...]) -> bool:
        return path[0] in self.left_alone

    @property
    def left_alone(self) -> tuple[str, ...]:
        """The parts that training leaves as they are."""
        if self.phase != "memory":
            return ()
        return ("spatial",) if self.train_motion else ("spatial", "motion")

    def pretrained_part(self, name: str, fields: Mapping[str, Any]) -> str:
        """The network of motion."""
        if name != "motion" or not self.temporal_net or self.phase == "spatial":
            return super().pretrained_part(name, fields)
        for field in ("width", "flow_channels"):
            trained, ours = fields.get(field), getattr(self, field)
            if trained != ours:
                typed_as = option(field)
                raise JmerError(
                    f"weights of {name} were trained with --{typed_as} {trained}, but "
                    f"model.{typed_as}={ours}: choose others, or this."
                )
        return "motion"

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """torchvision's `vgg16` of images, for the spatial network up to its fc6.

        It takes red first, over a deviation, where ours takes blue first, as the
        original did (`jmer.nn.vgg`).
        """
        if state["features.0.weight"].shape != (self.width, 3, 3, 3):
            raise ValueError(f"not a VGG-16 of {self.width} channels for images")
        arrays = torch_names.vgg16(state, "spatial")
        first = "params.spatial.groups.0.0"
        names = f"{first}.kernel", f"{first}.bias"
        layer = vgg.first_layer(*(arrays[name] for name in names))
        return arrays | dict(zip(names, layer, strict=True))

    def augment(self, inputs: Inputs, key: PRNGKeyArray, version: Array) -> Inputs:
        """A random window of each clip, all of it turned, scaled and moved alike.

        Flow goes through the change too, where the paper estimates it anew.
        """
        made = dict(inputs)
        if self.frames > self.steps + 1:
            last: Array | int = self.frames - self.steps
            if "present" in inputs:  # the window ends where the clip does
                there = inputs["present"].astype(jnp.int32).sum(1)
                last = jnp.maximum(there - self.steps, 1)
            where: Any = inputs["clip"].shape[:1], 0, last
            start = jax.random.randint(keys.named(key, "window"), *where)
            for name, value in made.items():
                length = self.steps + (name != "flow")
                made[name] = windows(value, start, length)
        if self.augmented:
            matrix = augment.random_similarity(
                made["clip"].shape[0],
                (self.size, self.size),
                keys.named(key, "similarity"),
                degrees=self.rotate,
                rescale=self.rescale,
                shift=self.shift,
            )
            # In an order of its own: a set's changes from one process to the next, and
            # with it the program, which then is compiled anew.
            for name in ("clip", "flow"):
                if name in made:
                    moves = name == "flow"
                    made[name] = augment.warp(made[name], matrix, vectors=moves)
        return made

    def loss(
        self,
        model: nnx.Module,
        inputs: Inputs,
        label: Array,
        *,
        weight: Array,
        key: PRNGKeyArray,
    ) -> Array:
        """Cross-entropy of the class and error of the intensity, means over the steps
        of a clip (equations 4 and 5). The spatial phase has the former only.
        """
        _, shown = self._explain(model, inputs, train=True, key=key, weight=weight)
        steps = shown["step_logits"]
        each = jnp.broadcast_to(label[:, None], (*steps.shape[:2], *label.shape[1:]))
        value = label_loss(steps, each)
        counts = jnp.broadcast_to(weight[:, None], value.shape)
        there = _of_steps(inputs, value.shape[1])
        if there is not None:
            # Clips count alike, however many of their steps are there.
            counts = counts * (there if self.by_intensity else shares(there))
        if self.intensity:
            # Of the last frames, one for each step: in pairs, a step is of the second.
            true = inputs["intensity"][:, -value.shape[1] :].astype(jnp.float32)
            counts = counts * true if self.by_intensity else counts
        total = weighted_mean(value.reshape(-1), counts.reshape(-1))
        if self.intensity and self.phase != "spatial":
            found = shown["intensity"]
            error: Any = (
                jnp.abs(found - true)
                if self.intensity_loss == "absolute"
                else share_cross_entropy(found, true)
            )
            each = error.mean(1) if there is None else (error * shares(there)).sum(1)
            total += self.intensity_weight * weighted_mean(each, weight)
        return total

    def apply(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Array:
        return self._explain(model, inputs, **options)[0]

    def apply_units(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Array:
        """Log-odds of the mean over steps of the probability of each unit, each step
        counting as much as it does for classes."""
        _, shown = self._explain(model, inputs, **options)
        steps = shown["step_logits"]
        counts: Array = jnp.zeros(steps.shape[:2])
        if self.by_intensity and "intensity" in shown:
            counts = jnp.log(shown["intensity"])
        if (there := _of_steps(inputs, steps.shape[1])) is not None:
            counts = jnp.where(there > 0, counts, -jnp.inf)
        return log_mean(steps, counts, jax.nn.log_sigmoid) - log_mean(
            steps, counts, lambda x: jax.nn.log_sigmoid(-x)
        )

    def explain(self, model: nnx.Module, inputs: Inputs) -> Shown:
        return self._explain(model, inputs)

    def _explain(self, model: nnx.Module, inputs: Inputs, **options: Any) -> Shown:
        assert hasattr(model, "explain")
        for name in ("flow", "present"):
            if name in inputs:
                options = {**options, name: inputs[name]}
        return model.explain(inputs["clip"], **options)


def _of_steps(inputs: Inputs, steps: int) -> Array | None:
    """1 for each step [b, s] that is there, else 0; None where all are. A step is of
    the later frame of a pair."""
    if "present" not in inputs:
        return None
    return inputs["present"][:, -steps:].astype(jnp.float32)


class VisualMemory(nnx.Module):
    """Spatial features of each frame; what neighbours have in contrast; motion between
    them; a memory; the class and intensity of each step.

    Figure 1 and equations 1 to 3; sizes that the paper leaves out are those of the
    networks that it names.
    """

    def __init__(
        self,
        config: VisualMemoryConfig,
        classes: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        glorot = {"kernel_init": nn.glorot, **same}
        wide, features = 4 * config.width, 2 * config.width
        self.polar = config.flow_channels == "polar"
        self.by_intensity = config.by_intensity
        self.left_alone = config.left_alone
        self.steps = config.steps
        self.spatial = nn.LargeFOV(
            config.width, fc6_dilation=config.fc6_dilation, **same
        )
        self.reduce = nnx.List(
            [
                nn.Conv(4 * wide, wide, (1, 1), **glorot),
                nn.Conv(wide, features, (1, 1), **glorot),
            ]
        )
        self.motion = nnx.data(
            nn.MPNet(config.width, **same) if config.temporal_net else None
        )
        self.contrast = nnx.data(
            nn.TimeContrast(features, config.context, config.context_dilation, **same)
            if config.contrast
            else None
        )
        stacked = features * (5 if config.contrast else 2) + config.temporal_net
        self.fuse = nn.Conv(stacked, config.hidden, (1, 1), **glorot)
        self.flatten: nnx.List[nn.Linear] = nnx.List()
        self.memory: nn.GRU | nn.ConvGRU | None = nnx.data(None)
        hidden = config.hidden
        if config.memory == "convgru":
            hidden = config.memory_channels
            self.memory = nn.ConvGRU(config.hidden, hidden, **same)
        else:
            pixels = (config.size // 8) ** 2
            for inputs in (pixels * hidden, hidden):
                self.flatten.append(nn.Linear(inputs, hidden, **glorot))
        if config.memory == "gru":
            self.memory = nn.GRU(hidden, hidden, **same)
        self.classes = Head(hidden, config.hidden, classes, **same)
        self.intensity = nnx.data(
            Head(hidden, config.hidden, 1, **same) if config.intensity else None
        )

    def __call__(self, clip: Array, flow: Array | None = None, **options: Any) -> Array:
        """Logits [b, classes] of RGB frames [b, t, h, w, 3], 0 to 255, and the flow
        from each to the next, [b, t-1, h, w, 2] in pixels, if the network uses it.
        """
        return self.explain(clip, flow, **options)[0]

    @typed
    def explain(
        self,
        clip: Shaped[Array, "b t h w 3"],
        flow: Shaped[Array, "b s h w 2"] | None = None,
        *,
        present: Shaped[Array, "b t"] | None = None,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """Logarithm of the mean over steps of the class probabilities (`steps_count`
        says how much each counts), and, for each step, which is a frame but the first:

        step_logits: [b, s, k]; intensity: [b, s], 0 to 1; contrast: [b, s, i, j, 3],
        mean absolute differences of equations 1 to 3; motion: [b, s, i, j, 1], 0 to 1.

        `present` is 1 for frames that are there and 0 for those that fill up a clip's
        end; what is shown of the latter means nothing.
        """
        b, t = clip.shape[:2]
        turn = None if present is None or train else b * (self.steps + 1)
        x = self._look(clip, train, key, turn)
        parts: list[Array] = [x[:, :-1], x[:, 1:]]
        shown: dict[str, Array] = {}
        if self.contrast is not None:
            differences = self.contrast(x)
            shown["contrast"] = jnp.stack(
                [jnp.abs(d.astype(jnp.float32)).mean(-1) for d in differences], -1
            )
            parts += differences
        if self.motion is not None:
            assert flow is not None
            shown["motion"] = self._move(
                *(self.motion, flow, train, weight),
                *(None if present is None else present[:, 1:], turn),
            )
            parts.append(shown["motion"].astype(x.dtype))
        x = jnp.concatenate(parts, -1)
        x = nnx.relu(self.fuse(x.reshape(b * (t - 1), *x.shape[2:])))
        x = self._remember(x.reshape(b, t - 1, *x.shape[1:]))
        shown["step_logits"] = self.classes(x)
        counts: Array = jnp.zeros(x.shape[:2])
        if self.intensity is not None:
            height = self.intensity(x)[..., 0]
            shown["intensity"] = nnx.sigmoid(height)
            counts = jax.nn.log_sigmoid(height) if self.by_intensity else counts
        if present is not None:
            counts = jnp.where(present[:, 1:] > 0, counts, -jnp.inf)
        return log_mean(shown["step_logits"], counts), shown

    def _look(
        self, clip: Array, train: bool, key: PRNGKeyArray | None, turn: int | None
    ) -> Array:
        """Spatial features of each frame [b, t, i, j, c]; of `turn` of them at a time,
        if that is a number."""
        alone = "spatial" in self.left_alone

        def of(frames: Array) -> Array:
            frames = vgg.about_zero(frames)
            x: Array = self.spatial(frames, train=train and not alone, key=key)
            x = lax.stop_gradient(x) if alone else x
            for layer in self.reduce:
                x = jnp.tanh(layer(x))
            return x

        frames = clip.reshape(-1, *clip.shape[2:])
        x = of(frames) if turn is None else in_turn(of, frames, turn)
        return x.reshape(*clip.shape[:2], *x.shape[1:])

    def _move(
        self,
        motion: nn.MPNet,
        flow: Array,
        train: bool,
        weight: Array | None,
        there: Array | None,
        turn: int | None,
    ) -> Array:
        b, s = flow.shape[:2]
        # Each field is an image of its own, and counts as its clip does.
        fields: Array | None = None if weight is None else jnp.repeat(weight, s)
        if there is not None:
            own = there.reshape(-1).astype(jnp.float32)
            fields = own if fields is None else fields * own
        alone = "motion" in self.left_alone

        def of(flow: Array, **options: Any) -> Array:
            x = nn.polar_flow(flow) if self.polar else flow.astype(jnp.float32)
            return motion(x, **options)

        images = flow.reshape(b * s, *flow.shape[2:])
        if turn is None:
            mask = of(images, train=train and not alone, weight=fields)
        else:  # of tests, which ask for no statistics
            mask = in_turn(of, images, turn)
        mask = lax.stop_gradient(mask) if alone else mask
        mask = nn.avg_pool(mask, (2, 2))
        return mask.reshape(b, s, *mask.shape[1:])

    def _remember(self, x: Array) -> Array:
        """[b, s, d] of maps [b, s, i, j, c]."""
        if isinstance(self.memory, nn.ConvGRU):
            return self.memory(x).mean((2, 3))
        x = x.reshape(*x.shape[:2], -1)
        for layer in self.flatten:
            x = nnx.relu(layer(x))
        return x if self.memory is None else self.memory(x)


class FrameClassifier(nnx.Module):
    """The spatial network with a linear layer of its mean over the image, which the
    paper's first phase trains; it names the class of each frame by itself.
    """

    def __init__(
        self,
        config: VisualMemoryConfig,
        classes: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.spatial = nn.LargeFOV(
            config.width, fc6_dilation=config.fc6_dilation, **same
        )
        features = 16 * config.width
        self.steps = config.steps
        self.emotion = nn.Linear(features, classes, kernel_init=nn.glorot, **same)

    def __call__(self, clip: Array, **options: Any) -> Array:
        """Logits [b, classes] of RGB frames [b, t, h, w, 3], 0 to 255."""
        return self.explain(clip, **options)[0]

    @typed
    def explain(
        self,
        clip: Shaped[Array, "b t h w 3"],
        *,
        present: Shaped[Array, "b t"] | None = None,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b k"], dict[str, Array]]:
        """Logarithm of the mean over frames of the class probabilities, and the logits
        of each frame: step_logits [b, t, k]. Nothing depends on `weight`; `present` is
        as in `VisualMemory`.
        """
        del weight

        def of(frames: Array) -> Array:
            x = self.spatial(vgg.about_zero(frames), train=train, key=key)
            x = self.emotion(x.astype(jnp.float32).mean((1, 2)))
            return x.astype(jnp.float32)

        frames = clip.reshape(-1, *clip.shape[2:])
        apart = present is not None and not train
        size = len(clip) * (self.steps + 1)
        logits = in_turn(of, frames, size) if apart else of(frames)
        logits = logits.reshape(*clip.shape[:2], -1)
        counts = jnp.zeros(logits.shape[:2])
        if present is not None:
            counts = jnp.where(present > 0, counts, -jnp.inf)
        return log_mean(logits, counts), {"step_logits": logits}


class Head(nnx.Module):
    """Two linear layers with a ReLU between them; the result is float32."""

    def __init__(self, inputs: int, hidden: int, outputs: int, **options: Any) -> None:
        options = {"kernel_init": nn.glorot, **options}
        self.wide = nn.Linear(inputs, hidden, **options)
        self.narrow = nn.Linear(hidden, outputs, **options)

    def __call__(self, x: Array) -> Array:
        return self.narrow(nnx.relu(self.wide(x))).astype(jnp.float32)
