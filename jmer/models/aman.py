"""AMAN: attention over factors of magnification, and over frames."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jmer import nn
from jmer.arrays import Array, Float, PRNGKeyArray, Shaped, typed
from jmer.errors import FieldCheck, JmerError, Needs, UsageError, lacking
from jmer.magnet.magnify import resized
from jmer.magnet.network import LEAST, MULTIPLE
from jmer.magnet.one_by_one import Part, each_image
from jmer.magnet.weight_files import FILE, load_magnet
from jmer.models.base import Inputs, NetworkConfig
from jmer.nn.init import kaiming, torch_kernel
from jmer.nn.resnet18 import (
    LOWER,
    Stages,
    filled,
    load_lower,
    read_resnet18,
    stage,
)
from jmer.weights.torch_names import PathArrays, TorchState


def single_factor(text: str) -> float | None:
    """5.0 of `single:5`; None of what names no factor of 1 or more."""
    kind, _, number = text.partition(":")
    try:
        factor = float(number)
    except ValueError:
        return None
    return factor if kind == "single" and 1 <= factor < math.inf else None


@dataclasses.dataclass(frozen=True)
class AmanConfig(NetworkConfig):
    """AMAN: frames magnified by many factors, weighed by what the factors show, and
    then by what the frames show.

    The data set has clips as they are: to store each of 99 magnified images would take
    15 MB a clip, and every `k` and `n` another preparation. What training does not
    change, the magnifier and ResNet-18 up to its third stage, runs once a clip on the
    accelerator, one clip after another.
    """

    name: ClassVar[str] = "aman"
    paper: ClassVar[str] = (
        "Wei et al. 2022, A Novel Micro-expression Recognition Approach Using "
        "Attention-based Magnification-adaptive Networks, ICASSP"
    )
    listed: ClassVar[Mapping[str, int | str]] = {
        "parameters": 11_180_103,
        "trained": 8_397_319,
        "input": "clip 20x224x224x3",
    }
    inputs: ClassVar[tuple[str, ...]] = ("clip",)
    files: ClassVar[tuple[str, ...]] = ("magnifier", "backbone")
    later: ClassVar[Mapping[str, Any]] = {
        **{"norm": "pooled", "pick": "linspace", "stored": 0, "init": "he"},
    }
    paper_classes: ClassVar[tuple[str, ...]] = (
        "disgust",
        "happiness",
        "repression",
        "surprise",
        "others",
    )

    small_size: ClassVar[Mapping[str, Any]] = {
        **{"k": 3, "n": 3, "size": 32, "stored": 0, "width": 8, "magnify_size": 0},
        **{"magnify": "linear", "magnifier": None},
        **{"pretrain": "none", "backbone": None},
    }

    k: int = 9
    """Factors of magnification, from 1 to this one (section 3.1.2)."""
    n: int = 11
    """Frames of a clip that are seen (figure 3)."""
    pick: Literal["step", "linspace", "without-onset"] = "step"
    """Which frames. step: the first one, the onset, and on at even steps, of `frames` /
    `n` rounded down ("from the beginning at a certain interval", section 2.1); the
    onset alone, without any motion, if `n` is 1. linspace: at even steps from the first
    to the last one. without-onset: the middles of `n` equal parts of what follows the
    onset (equation 3: "another frame"); all frames if `n` is `frames`."""
    ma: str = "attn"
    """Magnification attention (section 2.2.1); mean: all factors count alike; single:5:
    there is no other factor than that one."""
    fa: Literal["attn", "mean"] = "attn"
    """Frame attention (section 2.2.2); mean: all frames count alike."""
    norm: Literal["per-image", "pooled"] = "per-image"
    """What batch norm in training counts together. per-image: the images of all clips
    that have the same frame and factor, since the published code runs the fourth stage
    for one after another, as equation 4 reads, and running statistics move once for
    each. pooled: all images of a batch; what tells factors apart on the mean stays."""
    frames: int = 20
    """Frames of a stored clip (section 2.1: after temporal interpolation)."""
    size: int = 224
    """Height and width of what ResNet-18 sees, in pixels (section 3.1.1)."""
    stored: int = 0
    """Height and width of the data set's frames, in pixels; 0: `size`. Larger ones are
    magnified as they are and shrunk afterwards, by means of the pixels near by; the
    published code shows frames of 384."""
    magnify: Literal["network", "linear"] = "network"
    """network: Oh et al. 2018, which needs `magnifier`. linear: the onset frame plus a
    multiple of each pixel's change since."""
    magnifier: str | None = None
    """The published checkpoint `learning_based_mag.pth.tar`."""
    magnify_size: int = 0
    """Side that frames are stretched to for the magnifier, in pixels, and back again
    afterwards; 0: that of the data set's frames."""
    amp_offset: Literal[0, 1] = 0
    """What is added to factors before the network gets them, which adds one less than
    that many motions; 1 makes its result equation 2."""
    rounded: bool = True
    """Magnified images have whole pixels of 0 to 255, as image files have."""
    pretrain: Literal["all", "frozen", "none"] = "all"
    """What starts with the weights in `backbone`: all of ResNet-18, all but the fourth
    stage, or nothing. What does not is random, and the frozen part then always is the
    same."""
    init: Literal["torch", "he"] = "torch"
    """How a fourth stage begins that no checkpoint gives. torch: uniform, PyTorch's
    default for convolutions, as in the published code. he: normal, of He et al. 2015,
    as torchvision has it."""
    backbone: str | None = None
    """PyTorch checkpoint of a ResNet-18 (torchvision's names), in the paper one that
    was trained on facial expressions."""
    width: int = 64
    """Channels of the first convolution; the last stage has eight times as many."""
    cache: Literal["float32", "float16", "bfloat16", "none"] = "float32"
    """Type in which features of the frozen part are kept: 20 MB a clip in float32, half
    as much in the others. none: they are computed anew for every batch."""

    def __post_init__(self) -> None:
        check = FieldCheck(self, "model")
        check.at_least(1, "k", "frames", "size", "width")
        fits = 1 <= self.n <= self.frames
        check.must("n", fits, f"be from 1 to model.frames={self.frames}")
        check.choices()
        check.must(
            "ma",
            self.ma in ("attn", "mean") or single_factor(self.ma) is not None,
            "be attn, mean, or single: and a factor of 1 or more, such as single:5",
        )
        fits = self.stored == 0 or self.stored >= self.size
        check.must("stored", fits, f"be 0, or model.size={self.size} or more")
        if self.magnify == "network":
            name = "stored" if self.stored else "size"
            name = "magnify_size" if self.magnify_size else name
            rest = ", for model.magnify=network"
            check.multiple(MULTIPLE, name, least=LEAST, rest=rest)

    @property
    def needs(self) -> Needs:
        learnt = lacking(self, magnify=("network",))
        single = self.n * len(self.factors) == 1
        every = self.n == self.frames > 1
        return {
            "k": {} if single_factor(self.ma) is None else {"ma": "attn"},
            "pick": {"n": self.frames - 1} if every else {},
            "norm": {"k": 9, "ma": "attn"} if single else {},
            **{"magnifier": learnt, "magnify_size": learnt},
            "backbone": lacking(self, pretrain=("all", "frozen")),
            "init": lacking(self, pretrain=("frozen", "none")),
        }

    @property
    def factors(self) -> tuple[float, ...]:
        """Those of magnification; 1 leaves a frame as it is, for `amp_offset` 0."""
        if (single := single_factor(self.ma)) is not None:
            return (single,)
        return tuple(float(factor) for factor in range(1, self.k + 1))

    @property
    def seen(self) -> tuple[int, ...]:
        """Numbers of the frames that are seen, from 0."""
        n, frames = self.n, self.frames
        if self.pick == "linspace":
            return tuple(np.rint(np.linspace(0, frames - 1, n)).astype(int).tolist())
        if self.pick == "step" or n == frames:
            return tuple(i * frames // n for i in range(n))
        return tuple(1 + (2 * i + 1) * (frames - 1) // (2 * n) for i in range(n))

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        side = self.stored or self.size
        return ((self.frames, side, side, 3),)

    @property
    def frozen_parameters(self) -> int:
        lower = nnx.eval_shape(
            lambda: Stages(self.width, LOWER, rngs=nnx.Rngs(params=0))
        )
        return sum(x.size for x in jax.tree.leaves(nnx.state(lower, nnx.Param)))

    def build(self, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> "Aman":
        model = Aman(self, classes, dtype=dtype, rngs=rngs)
        if self.pretrain == "all" and self.backbone is not None:
            arrays = read_resnet18(self.width, Path(self.backbone))
            start = filled(nnx.state(model.stage), arrays, "trunk.stages.3")
            nnx.update(model.stage, jax.tree.map(jnp.asarray, start))
        return model

    def trunk_from_torch(self, state: TorchState) -> PathArrays:
        """Raises: JmerError, since the frozen part must be of the same checkpoint."""
        raise JmerError(
            "aman takes the weights of ResNet-18 as --model.backbone FILE, not as "
            "--pretrained: they are in its frozen part too."
        )

    @property
    def has_prefix(self) -> bool:
        return self.cache != "none"

    @property
    def prefix_facts(self) -> dict[str, Any]:
        """Attention and what starts the fourth stage are not among them."""
        fields = dataclasses.asdict(self)
        named = ("size", "stored", "magnify", "magnify_size", "rounded", "width")
        return {
            **{name: fields[name] for name in (*named, "cache")},
            "random": self.pretrain == "none",
        }

    @property
    def prefix_parts(self) -> tuple[Part, ...]:
        """Each frame that is seen by each factor: those of 20 frames and 11 factors
        serve every `n` and `k` of the paper."""
        if not self.has_prefix:
            return ()
        return self._parts

    @property
    def without_files(self) -> "AmanConfig":
        """Random weights, and differences of frames in place of the magnifier, whose
        images are as large."""
        unread = dataclasses.replace(self, pretrain="none", backbone=None)
        return dataclasses.replace(
            unread, magnify="linear", magnifier=None, magnify_size=0
        )

    def prefix(self, inputs: Inputs) -> Inputs:
        """The features of the third stage, of each frame by each factor."""
        if not self.has_prefix:
            return inputs
        return self.prefix_whole(self.prefix_of(inputs, self.prefix_parts))

    def prefix_of(self, inputs: Inputs, parts: Sequence[Part]) -> Inputs:
        return {"clip": self._features(inputs["clip"], parts).astype(self.cache)}

    def prefix_whole(self, parts: Inputs) -> Inputs:
        return {name: self._gridded(made) for name, made in parts.items()}

    @typed
    def features(self, clip: Shaped[Array, "b t h w 3"]) -> Float[Array, "b n k H W c"]:
        """Of RGB pixels of 0 to 255, by the magnifier and ResNet-18's third stage.

        Raises: UsageError if the file of one of them is not given; JmerError if it
        cannot be used.
        """
        return self._gridded(self._features(clip, self._parts))

    @typed
    def images(
        self, frames: Shaped[Array, "t h w 3"], numbers: Sequence[int] | None = None
    ) -> Float[Array, "n k H W 3"]:
        """What the frozen stages see of a clip: the frames that are `seen`, or those of
        these numbers, magnified by each factor, with pixels of 0 to 255.

        Raises: as `features`, for the magnifier.
        """
        parts = self._parts_of(self.seen if numbers is None else numbers)
        made = self._each(frames, parts, lambda image: image)
        return made.reshape(-1, len(self.factors), *made.shape[1:])

    @property
    def _parts(self) -> tuple[Part, ...]:
        return self._parts_of(self.seen)

    def _parts_of(self, numbers: Sequence[int]) -> tuple[Part, ...]:
        factors = [factor + self.amp_offset for factor in self.factors]
        return tuple((frame, factor) for frame in numbers for factor in factors)

    def _gridded(self, made: Array) -> Array:
        """[b, n, k, ...] of [b, part, ...]."""
        grid = len(self.seen), len(self.factors)
        return made.reshape(len(made), *grid, *made.shape[2:])

    def _features(self, clip: Array, parts: Sequence[Part]) -> Array:
        """[b, part, H, W, c]"""
        frozen = load_lower(self.width, self._file("backbone", self.pretrain != "none"))
        lower = nnx.merge(*jax.tree.map(jnp.asarray, frozen))

        def of_image(image: Array) -> Array:
            with jax.default_matmul_precision("float32"):
                return lower(nn.imagenet(image[None]))[0]

        # All images of a call at once would take gigabytes.
        return jax.lax.map(lambda frames: self._each(frames, parts, of_image), clip)

    def _each(
        self, frames: Array, parts: Sequence[Part], what: Callable[[Array], Array]
    ) -> Array:
        """`what` of the images of a clip, as ResNet-18 sees them."""
        file = self._file("magnifier", self.magnify == "network")
        network = None
        if file is not None:
            network = nnx.merge(*jax.tree.map(jnp.asarray, load_magnet(file)))

        def shown(image: Array) -> Array:
            pixels = jnp.rint(image) if self.rounded else image
            if self.stored > self.size:
                small = resized(pixels, (self.size, self.size), antialias=True)
                pixels = jnp.rint(small) if self.rounded else small
            return what(pixels)

        size = self.magnify_size or None
        return each_image(network, frames, parts, shown, size=size)

    def _file(self, name: str, needed: bool) -> Path | None:
        given = getattr(self, name)
        if needed and given is None:
            switch, what = {
                "magnifier": ("magnify linear", f"the published {FILE}"),
                "backbone": ("pretrain none", "a checkpoint of ResNet-18"),
            }[name]
            raise UsageError(
                f"model.{name} is not given: give {what} as --model.{name} FILE, or do "
                f"without by --model.{switch}"
            )
        return Path(given) if needed else None


class Aman(nnx.Module):
    """The fourth stage of ResNet-18 and the mean over space; means over factors and
    over frames, weighed by attention; linear. Figure 2 and equations 5 to 10.
    """

    def __init__(
        self, config: AmanConfig, classes: int, *, dtype: DTypeLike, rngs: nnx.Rngs
    ) -> None:
        same: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        self.config = config
        features = 8 * config.width
        kernel_init = {"torch": torch_kernel, "he": kaiming}[config.init]
        self.stage = stage(features // 2, features, 2, kernel_init=kernel_init, **same)
        self.factor_score = nnx.data(
            nn.Linear(features, 1, **same) if config.ma == "attn" else None
        )
        self.frame_score = nnx.data(
            nn.Linear(features, 1, **same) if config.fa == "attn" else None
        )
        self.head = nn.Linear(features, classes, **same)

    def __call__(self, clip: Array, **options: Any) -> Array:
        """Logits [b, classes] of clips, or of what `prefix` made of them."""
        return self.explain(clip, **options)[0]

    @typed
    def explain(
        self,
        clip: Shaped[Array, "b t h w 3"] | Float[Array, "b n k h w c"],
        *,
        train: bool = False,
        key: PRNGKeyArray | None = None,
        weight: Float[Array, " b"] | None = None,
    ) -> tuple[Float[Array, "b classes"], dict[str, Array]]:
        """Logits, and the weights from 0 to 1 where the network has them:

        factor_weight: [b, n, k], α of equation 5; frame_weight: [b, n], β of eq. 8.
        """
        features = self.config.features(clip) if clip.ndim == 5 else clip
        b, n, k = features.shape[:3]
        # Each image is one of its own, and counts as its clip does.
        images = None if weight is None else jnp.repeat(weight, n * k)
        x = features.reshape(b * n * k, *features.shape[3:])
        apart = n * k if self.config.norm == "per-image" else 1
        for block in self.stage:
            x = block(x, train=train, weight=images, apart=apart)
        x = x.astype(jnp.float32).mean((1, 2)).reshape(b, n, k, -1)
        shown: dict[str, Array] = {}
        x = _mean(self.factor_score, x, shown, "factor_weight")
        x = _mean(self.frame_score, x, shown, "frame_weight")
        return self.head(x).astype(jnp.float32), shown


def _mean(
    score: nn.Linear | None, x: Array, shown: dict[str, Array], name: str
) -> Array:
    """The mean of `x` [..., m, d] over m, weighed by the sigmoid of a score.

    Equations 5 to 7, and 8 to 10. The sum of weights is divided by as logarithms,
    where it could be 0.
    """
    if score is None:
        return x.mean(-2)
    scores = score(x).astype(jnp.float32)
    shown[name] = nnx.sigmoid(scores[..., 0])
    return (jax.nn.softmax(nnx.log_sigmoid(scores), axis=-2) * x).sum(-2)
